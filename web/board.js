// SPDX-License-Identifier: MIT
// A board on a USB cable: connects it, writes to it, and compares what it has learned with this browser's own run.
import * as answers from "./answers.js";
import { Console, WorkerTransport } from "./console.js";
import { BoardError, choosePort, hasSerial, openPort, SerialTransport } from "./serial.js";

const GREETING = 5000; // milliseconds from a reset to a prompt, ample
const NO_SERIAL =
  "This browser gives a page no serial ports (Web Serial): Chrome, Edge and Opera on a computer do, where the page comes from https:// or localhost. " +
  "Without them the command line does it: ./sconsw flash monitor";
const NO_PROGRAM =
  "Nothing on this port answers as this program does. Press EN (RST) on the board and connect again, or install the firmware on it.";
const NOT_STARTED = "It is written. Now press EN (RST) on the board, which this port could not do, and connect.";

const at = (id) => document.getElementById(id);

export class Board {
  #port = null;
  #console = null;
  #busy = false;
  #page;

  /**
   * page: {files, text, version, use, chipAccepts}: what was loaded; () => the text in use, {image, name}; () => the version of the
   * page's program, as `info` says it; (console or null) => the page speaks to a board's program, or to the browser's; (image) =>
   * "" or why the chip has no room for its model.
   */
  constructor(page) {
    this.#page = page;
    at("no-serial").textContent = hasSerial() ? "" : NO_SERIAL;
    at("no-serial").hidden = hasSerial();
    for (const [id, action] of Object.entries({
      connect: () => this.#connect(),
      install: () => this.#install(),
      "write-text": () => this.#writeText(),
      compare: () => this.compare(),
      disconnect: () => this.#disconnect(),
    })) {
      at(id).addEventListener("click", () => this.#alone(action));
    }
    this.#buttons();
  }

  /** Whether the page speaks to a board. */
  get connected() {
    return this.#console !== null;
  }

  // One action at a time; what it raises is shown, and nothing stays as it was begun.
  async #alone(action) {
    this.#busy = true;
    this.#say("");
    this.#buttons();
    try {
      await action();
    } catch (error) {
      at("board-status").textContent = "";
      at("board-failure").textContent = error instanceof BoardError ? error.message : `This went wrong: ${error.message}.`;
      at("board-failure").hidden = false;
    } finally {
      this.#busy = false;
      at("written").hidden = true;
      this.#buttons();
    }
  }

  #say(status) {
    at("board-status").textContent = status;
    at("board-failure").hidden = true;
    at("verdict").textContent = "";
  }

  #buttons() {
    at("connect").disabled = this.#busy || !hasSerial();
    at("connect").hidden = this.connected;
    at("install").hidden = at("forget-field").hidden = this.#port === null;
    at("write-text").hidden = at("compare").hidden = at("disconnect").hidden = !this.connected;
    for (const id of ["install", "write-text", "compare", "disconnect"]) {
      at(id).disabled = this.#busy;
    }
  }

  async #connect() {
    this.#port = null; // until another is chosen
    const port = await choosePort();
    at("board-status").textContent = "Connecting…";
    await this.#open(port);
  }

  // Begins to speak with what is on a port.
  async #open(port) {
    await openPort(port, this.#page.files.chip.baud);
    this.#port = port;
    const console = new Console(new SerialTransport(port));
    const info = (await console.greet(GREETING)) ? await console.ask("info") : null;
    if (!info?.lines[0]?.startsWith("microgpt-lx6 ")) {
      const ended = console.ended;
      await console.close();
      throw new BoardError(ended ? sentence(ended) : NO_PROGRAM);
    }
    this.#console = console;
    console.onEnd = () => this.#lost(sentence(console.ended));
    console.onRestart = () => this.#alone(() => this.#restarted());
    await this.#page.use(console);
    this.#say(`Connected: ${info.lines.slice(0, 2).join(", ")}. What you press and type on this page now goes to the board.`);
  }

  async #restarted() {
    const console = this.#console;
    if (!(await console.greet(GREETING))) {
      await this.#release();
      await this.#page.use(null);
      throw new BoardError(NO_PROGRAM);
    }
    await this.#page.use(console);
    this.#say("The board has started again. What it had not kept in a checkpoint is gone.");
  }

  async #lost(how) {
    this.#console = this.#port = null;
    await this.#alone(async () => {
      await this.#page.use(null);
      throw new BoardError(how);
    });
  }

  async #release() {
    const console = this.#console;
    this.#console = null;
    await console?.close();
  }

  async #disconnect() {
    await this.#release();
    this.#port = null;
    await this.#page.use(null);
    this.#say("Disconnected. The page's program is this browser's again.");
  }

  async #install() {
    const { chip } = this.#page.files;
    const [firmware, dataset] = await Promise.all(["firmware.bin", "dataset.bin"].map(fetchBytes));
    const { bytes, checkpoints, slots } = chip.flash;
    const image = new Uint8Array(bytes).fill(0xff);
    image.set(firmware, chip.flash.firmware);
    image.set(dataset, chip.flash.dataset);
    const kept = at("forget").checked ? {} : { checkpoints: slots };
    await this.#write([
      { name: "the firmware", offset: 0, bytes: image.subarray(0, chip.flash.dataset) },
      { name: "the names", offset: chip.flash.dataset, bytes: image.subarray(chip.flash.dataset, checkpoints) },
      { name: "an empty place for checkpoints", offset: checkpoints, bytes: image.subarray(checkpoints), ...kept },
    ]);
    this.#say("Installed: the board runs. Press Train, and watch it learn.");
  }

  async #writeText() {
    const { image, name } = this.#page.text();
    const { flash } = this.#page.files.chip;
    const version = (await this.#console.ask("info")).lines[0];
    if (version !== this.#page.version()) {
      throw new BoardError(`The board has another version of the program (${version}) than this page: install this page's first.`);
    }
    const room = flash.checkpoints - flash.dataset;
    if (image.byteLength > room) {
      throw new BoardError(`This text takes ${image.byteLength.toLocaleString("en")} bytes, and the board has ${room.toLocaleString("en")} for one: keep a part.`);
    }
    const refusal = await this.#page.chipAccepts(image);
    if (refusal) {
      throw new BoardError(`The board has no room for its model on this text: ${refusal}.`);
    }
    await this.#write([{ name, offset: flash.dataset, bytes: new Uint8Array(image) }]);
    this.#say(`The board has ${name} now. Press Train.`);
  }

  // Writes to the flash, and speaks with the program that starts then.
  async #write(parts) {
    await this.#release();
    at("written").hidden = false;
    const progress = (name, share) => {
      at("board-status").textContent = share > 0 ? `Writing ${name}: ${Math.round(100 * share)} %` : `Looking at ${name}…`;
      at("written").value = share;
    };
    at("board-status").textContent = "Asking the chip…";
    let written = false;
    try {
      const { write } = await import("./install.js");
      await write(this.#port, parts, this.#page.files.chip.flash.bytes, progress);
      written = true;
      at("board-status").textContent = "It starts…";
      await this.#open(this.#port);
    } catch (error) {
      await this.#page.use(null);
      throw written ? new BoardError(NOT_STARTED) : error;
    }
  }

  /** Trains here what the board has trained, and says whether the weights are the same. */
  async compare() {
    const console = this.#console; // which may be disconnected meanwhile
    at("verdict").textContent = "This browser trains the same…";
    const board = answers.state((await console.ask("info")).lines);
    const rate = answers.settings((await console.ask("set")).lines).get("lr");
    const here = new Console(new WorkerTransport(this.#page.files.module, this.#page.text().image, null));
    try {
      await here.opened;
      const said = await verdict(board, rate, here);
      at("verdict").textContent = console === this.#console ? said : "";
    } finally {
      await here.close();
    }
  }
}

async function verdict(board, rate, here) {
  if (!board?.step || board.outdated) {
    return "There is nothing to compare: the board has trained nothing with these settings yet.";
  }
  if (answers.state((await here.ask("info")).lines).text !== board.text) {
    return "The board has another text than this page: use the same one here, or write this one to the board, to compare.";
  }
  const { n_embd, n_head, n_layer, block_size } = board.shape;
  const shape = `n_embd=${n_embd} n_head=${n_head} n_layer=${n_layer} block_size=${block_size}`;
  const set = await here.ask(`set ${shape} steps=${board.steps} seed=${board.seed} lr=${rate} samples=1 log_every=${board.steps}`);
  const trained = set.error ? set : await here.ask(`train ${board.step}`);
  if (trained.error) {
    return `This browser could not do the same: ${trained.error}.`;
  }
  const { checksum } = answers.state((await here.ask("info")).lines);
  const step = `step ${board.step.toLocaleString("en")} of ${board.steps.toLocaleString("en")}`;
  return checksum === board.checksum
    ? `Equal: at ${step} the board and this browser have the same weights, bit for bit: ${checksum}.`
    : `Not equal: at ${step} the board's weights have ${board.checksum}, this browser's ${checksum}. ` +
        "A board that was taught something besides differs; else ask its console to check.";
}

const sentence = (text) => `${text[0].toUpperCase()}${text.slice(1)}.`;

async function fetchBytes(name) {
  const response = await fetch(name);
  if (!response.ok) {
    throw new BoardError(`The page's ${name} could not be loaded (${response.status} ${response.statusText}): nothing was written.`);
  }
  return new Uint8Array(await response.arrayBuffer());
}
