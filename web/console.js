// SPDX-License-Identifier: MIT
// A conversation with the program, wherever it runs: a line is typed at its prompt, the answer ends with `ok` or an error.

const PROMPT = "> ";
const STOP = Uint8Array.of(3); // Ctrl-C
const BEGINS = /^# microgpt-lx6 /; // the first line of a chip's program
const QUIET = 1000; // milliseconds without a word, behind which what looks like a prompt is one
const DISTURBED = "the answer was disturbed on its way; ask again";
const SILENT = "the board does not answer; press EN (RST) on it, or connect it again";
const RESTARTED = "the board has started again";

/**
 * The transport to a program in a worker. One to a board (serial.js) has the same members: write, close, onText, onEnd (with a
 * sentence), and patience, the milliseconds without a word after which something is wrong with an answer.
 */
export class WorkerTransport {
  patience = Infinity;

  /** module, dataset, banks: as for Program. The run that the program begins with is stopped before its first step. */
  constructor(module, dataset, banks) {
    this.worker = new Worker(new URL("./worker.js", import.meta.url), { type: "module" });
    this.onText = this.onEnd = () => {};
    const end = (how) => this.onEnd(`the program has ended (${how}); reload the page to start again`);
    this.worker.onmessage = ({ data }) => ("text" in data ? this.onText(data.text) : end(data.ended));
    this.worker.onerror = () => end("it could not be loaded");
    this.worker.postMessage({ module, dataset, banks, typed: STOP });
  }

  write(bytes) {
    this.worker.postMessage(bytes);
  }

  close() {
    this.worker.terminate();
  }
}

/** What a command has printed: its lines, and the sentence of the error, or "" for `ok`. */
export class Answer {
  constructor(lines, error) {
    this.lines = lines;
    this.error = error;
  }
}

export class Console {
  #pending = ""; // of a line that is not complete
  #last = ""; // complete line
  #asked = null; // what waits for its answer
  #queue = [];
  #echo = false; // the next line may be what was typed
  #timer = 0;
  #silence = 0; // milliseconds

  /** transport: see WorkerTransport. `opened` is fulfilled at the first prompt, with what came before it. */
  constructor(transport) {
    this.transport = transport;
    this.ended = "";
    this.onEnd = this.onRestart = () => {};
    this.#open();
    transport.onText = (text) => this.#take(text);
    transport.onEnd = (how) => this.#end(how);
  }

  /**
   * Types a command when those before it have been answered; fulfilled with its Answer. onLine: is given its lines as they come.
   * patience: Infinity where a board may say nothing for long, and somebody can stop it.
   */
  ask(command, onLine = () => {}, patience = this.transport.patience) {
    return new Promise((fulfil) => {
      // A line is one line, whatever was pasted, and has no keys that edit it.
      const line = command.replace(/[\p{Cc}\u2028\u2029]+/gu, " ");
      if (line.trim() === "") {
        fulfil(new Answer([], "")); // what is blank has no answer
        return;
      }
      this.#queue.push({ line, lines: [], onLine, fulfil, patience });
      this.#next();
    });
  }

  /** Stops what runs; its answer is then what came until now. */
  stop() {
    if (this.#asked) {
      this.transport.write(STOP);
    }
  }

  /** Stops what a board runs, until there is a prompt; fulfilled with whether there was one within so many milliseconds. */
  async greet(milliseconds) {
    const opened = this.opened.then(() => true);
    for (let left = milliseconds; left > 0 && !this.ended; left -= QUIET) {
      this.transport.write(STOP);
      const quiet = new Promise((fulfil) => setTimeout(() => fulfil(false), QUIET));
      if (await Promise.race([opened, quiet])) {
        break;
      }
    }
    return !this.#asked?.opening && !this.ended;
  }

  /** Ends the conversation; fulfilled when the transport is closed. */
  async close() {
    this.onEnd = () => {};
    this.#end("closed");
    await this.transport.close();
  }

  #open() {
    this.opened = new Promise((fulfil) => (this.#asked = { lines: [], onLine: () => {}, fulfil, opening: true }));
  }

  #next() {
    if (this.ended) {
      this.#queue.splice(0).forEach(({ lines, fulfil }) => fulfil(new Answer(lines, this.ended)));
    } else if (!this.#asked && this.#queue.length > 0) {
      this.#asked = this.#queue.shift();
      this.#echo = true;
      this.#wait();
      this.transport.write(new TextEncoder().encode(`${this.#asked.line}\n`));
    }
  }

  #take(text) {
    const lines = (this.#pending + text).split("\n");
    this.#pending = lines.pop();
    lines.forEach((line) => this.#line(line.replace(/\r$/, "")));
    if (this.#pending === PROMPT && this.#asked && !this.#echo && this.#isAnswered()) {
      this.#answer(this.#error());
    } else {
      this.#wait();
    }
  }

  // A prompt follows one of these lines; a document may begin like a prompt.
  #isAnswered() {
    return this.#asked.opening || this.#last === "ok" || this.#last.startsWith("error: ");
  }

  #error() {
    return this.#last.startsWith("error: ") ? this.#last.slice("error: ".length) : "";
  }

  #answer(error) {
    clearTimeout(this.#timer);
    const { lines, fulfil } = this.#asked;
    this.#pending = this.#last = "";
    this.#asked = null;
    fulfil(new Answer(lines, error));
    this.#next();
  }

  #line(line) {
    if (BEGINS.test(line) && !this.#asked?.opening && this.transport.patience < Infinity) {
      this.#restart();
      return;
    }
    if (this.#echo && line.endsWith("^C")) {
      return; // Ctrl-C came after what it was to stop
    }
    const echo = this.#echo && line.endsWith(this.#asked.line);
    this.#echo = false;
    if (echo || !this.#asked) {
      return;
    }
    this.#last = line;
    if (line !== "ok") {
      this.#asked.lines.push(line);
      this.#asked.onLine(line);
    }
  }

  // A line may disturb what a board says: then no answer may look like one.
  #wait() {
    clearTimeout(this.#timer);
    this.#silence = 0;
    if (this.#asked && !this.#asked.opening && this.transport.patience < Infinity) {
      this.#timer = setTimeout(() => this.#quiet(), QUIET);
    }
  }

  #quiet() {
    this.#silence += QUIET;
    if (!this.#echo && (this.#last === "ok" || this.#last.startsWith("error: "))) {
      this.#answer(this.#error()); // it was the prompt that was disturbed
    } else if (this.#pending.endsWith(PROMPT)) {
      this.#answer(DISTURBED);
    } else if (this.#silence > this.#asked.patience + 2 * QUIET) {
      this.#answer(SILENT);
    } else {
      if (this.#silence >= this.#asked.patience) {
        this.transport.write(STOP);
      }
      this.#timer = setTimeout(() => this.#quiet(), QUIET);
    }
  }

  #restart() {
    clearTimeout(this.#timer);
    const lost = [this.#asked, ...this.#queue.splice(0)].filter(Boolean);
    this.#echo = false;
    this.#open();
    lost.forEach(({ lines, fulfil }) => fulfil(new Answer(lines, RESTARTED)));
    this.onRestart();
  }

  #end(how) {
    if (!this.ended) {
      clearTimeout(this.#timer);
      this.ended = how;
      this.#asked?.fulfil(new Answer(this.#asked.lines, how));
      this.#asked = null;
      this.#next();
      this.onEnd();
    }
  }
}
