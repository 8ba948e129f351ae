// SPDX-License-Identifier: MIT
// Writes to a board's flash, through esptool-js: what differs, checked by its MD5, after a look at the chip.
import { md5 } from "./packages/@noble/hashes/legacy.js";
import { ESPLoader, Transport } from "./packages/esptool-js/bundle.js";
import { BoardError, openPort, reset } from "./serial.js";

const CHIP = "ESP32";
const ROM_BAUD = 115200; // the loader's, before it is told another
const FLASH_BAUD = 460800;
const MEGABYTE = 1 << 20;
const CHECKPOINT_MAGIC = [0x4d, 0x47, 0x43, 0x50]; // CHECKPOINT_MAGIC of src_c/core/checkpoint.h
const NO_ANSWER =
  "The chip does not answer. Hold its BOOT button down, press EN (RST) once, let BOOT go, and try again. If that does not help: " +
  "a cable that carries data, the right port, nothing wired to GPIO0, 2, 12 or 15.";

const quiet = { clean() {}, write() {}, writeLine() {} };
const hex = (bytes) => Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
const digest = (bytes) => hex(md5(bytes));

// The line to a board, until that is unplugged; it has nothing to say on the browser's console.
class Line extends Transport {
  constructor(port) {
    super(port);
    this.unplugged = new Promise((_, reject) =>
      port.addEventListener("disconnect", () => reject((this.gone = new Error("it was unplugged"))), { once: true }),
    );
    this.unplugged.catch(() => {});
  }

  async connect(baudRate) {
    await openPort(this.device, baudRate);
    this.baudrate = baudRate;
  }

  async write(data) {
    if (this.gone) {
      throw this.gone; // not to whatever is on the port by then
    }
    await super.write(data);
  }

  trace() {}
}

/** A board in its loader. */
class Loader {
  #line;
  #loader;
  unfinished = "";

  constructor(port) {
    this.#line = new Line(port);
    this.#loader = new ESPLoader({ transport: this.#line, baudrate: FLASH_BAUD, romBaudrate: ROM_BAUD, terminal: quiet });
  }

  /** What the steps give, or an Error as soon as the board is unplugged. */
  whilePlugged(steps) {
    return Promise.race([steps, this.#line.unplugged]);
  }

  /** Raises BoardError for a chip that is silent or none of ours, and too small a flash. */
  async connect(flashBytes) {
    try {
      await this.#loader.detectChip();
    } catch (error) {
      if (error instanceof BoardError) {
        throw error;
      }
      throw new BoardError(/autodetect chip type/.test(error.message) ? `This chip is none that is known here (${error.message}).` : NO_ANSWER);
    }
    const name = this.#loader.chip.CHIP_NAME;
    if (name !== CHIP) {
      throw new BoardError(`This chip is an ${name}, and the program is for the ${CHIP}: nothing was written.`);
    }
    await this.#loader.runStub();
    await this.#loader.changeBaud();
    const size = this.#loader.flashSizeBytes((await this.#loader.detectFlashSize()) ?? "0MB");
    if (size <= 0) {
      throw new BoardError("The size of the board's flash cannot be read: check its supply.");
    }
    if (size < flashBytes) {
      throw new BoardError(`The board's flash is ${size / MEGABYTE} MB, and this firmware needs ${flashBytes / MEGABYTE} MB: nothing was written. ./sconsw flash flash_size=${size / MEGABYTE} builds one for it.`);
    }
  }

  async holdsCheckpoint(slots) {
    for (const slot of slots) {
      const word = await this.#loader.readFlash(slot, CHECKPOINT_MAGIC.length);
      if (CHECKPOINT_MAGIC.every((byte, i) => byte === word[i])) {
        return true;
      }
    }
    return false;
  }

  async write({ name, offset, bytes }, onShare) {
    if ((await this.#loader.flashMd5sum(offset, bytes.length)) === digest(bytes)) {
      return;
    }
    this.unfinished = name;
    await this.#loader.writeFlash({
      fileArray: [{ data: bytes, address: offset }],
      ...{ flashMode: "keep", flashFreq: "keep", flashSize: "keep", eraseAll: false, compress: true },
      reportProgress: (_, written, total) => onShare(written / total),
      calculateMD5Hash: digest,
    });
    this.unfinished = "";
  }

  async close() {
    await this.#line.disconnect().catch(() => {}); // it is gone
  }
}

// A sentence of what esptool-js has thrown.
function reason(error, unfinished) {
  if (error instanceof BoardError) {
    return error;
  }
  if (/MD5/.test(error.message)) {
    return new BoardError(`What is in flash for ${unfinished} is not what was sent. Try again, or take another cable or supply.`);
  }
  const half = unfinished ? `; ${unfinished} may be half written` : "";
  return new BoardError(`The board was lost (${error.message})${half}. Plug it in, connect, and do the same again.`);
}

/**
 * Writes parts of the flash that differ from what is there, and starts the program. port: closed, and closed again at the end.
 * parts: [{name, offset, bytes, checkpoints}]; one with `checkpoints`, where slots begin, is left alone if there is one.
 * onProgress: is given the part's name and the share of it that is written. Raises BoardError.
 */
export async function write(port, parts, flashBytes, onProgress) {
  const loader = new Loader(port);
  const steps = async () => {
    await loader.connect(flashBytes);
    for (const part of parts) {
      onProgress(part.name, 0);
      if (!part.checkpoints || !(await loader.holdsCheckpoint(part.checkpoints))) {
        await loader.write(part, (share) => onProgress(part.name, share));
      }
    }
  };
  try {
    await loader.whilePlugged(steps());
  } catch (error) {
    throw reason(error, loader.unfinished);
  } finally {
    await loader.close();
    await restart(port);
  }
}

// Whatever has happened, the chip leaves its loader.
async function restart(port) {
  try {
    await openPort(port, ROM_BAUD);
    await reset(port);
    await port.close();
  } catch {
    // it is gone, or has no such line: the program starts by its EN button
  }
}
