// SPDX-License-Identifier: MIT
// A conversation with the program, wherever it runs: a line is typed at its prompt, the answer ends with `ok` or an error.

const PROMPT = "> ";
const STOP = Uint8Array.of(3); // Ctrl-C

/** The transport to a program in a worker; a board would be another with the same three members: write, onText, onEnd. */
export class WorkerTransport {
  /** module, dataset, banks: as for Program. The run that the program begins with is stopped before its first step. */
  constructor(module, dataset, banks) {
    this.worker = new Worker(new URL("./worker.js", import.meta.url), { type: "module" });
    this.onText = this.onEnd = () => {};
    this.worker.onmessage = ({ data }) => ("text" in data ? this.onText(data.text) : this.onEnd(data.ended));
    this.worker.onerror = () => this.onEnd("it could not be loaded");
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
  #echo = false; // the next line is what was typed

  /** transport: see WorkerTransport. `opened` is fulfilled at the first prompt, with what came before it. */
  constructor(transport) {
    this.transport = transport;
    this.ended = "";
    this.opened = new Promise((fulfil) => (this.#asked = { lines: [], onLine: () => {}, fulfil, opening: true }));
    transport.onText = (text) => this.#take(text);
    transport.onEnd = (how) => this.#end(how);
  }

  /** Types a command when those before it have been answered; fulfilled with its Answer. onLine: is given its lines as they come. */
  ask(command, onLine = () => {}) {
    return new Promise((fulfil) => {
      // A line is one line, whatever was pasted, and has no keys that edit it.
      const line = command.replace(/[\p{Cc}\u2028\u2029]+/gu, " ");
      if (line.trim() === "") {
        fulfil(new Answer([], "")); // what is blank has no answer
        return;
      }
      this.#queue.push({ line, lines: [], onLine, fulfil });
      this.#next();
    });
  }

  /** Stops what runs; its answer is then what came until now. */
  stop() {
    if (this.#asked) {
      this.transport.write(STOP);
    }
  }

  close() {
    this.transport.close();
    this.#end("closed");
  }

  #next() {
    if (this.ended) {
      this.#queue.splice(0).forEach(({ lines, fulfil }) => fulfil(new Answer(lines, this.ended)));
    } else if (!this.#asked && this.#queue.length > 0) {
      this.#asked = this.#queue.shift();
      this.#echo = true;
      this.transport.write(new TextEncoder().encode(`${this.#asked.line}\n`));
    }
  }

  #take(text) {
    const lines = (this.#pending + text).split("\n");
    this.#pending = lines.pop();
    lines.forEach((line) => this.#line(line.replace(/\r$/, "")));
    if (this.#pending === PROMPT && this.#asked && !this.#echo && this.#isAnswered()) {
      this.#pending = "";
      const { lines: printed, fulfil } = this.#asked;
      this.#asked = null;
      const error = this.#last.startsWith("error: ") ? this.#last.slice("error: ".length) : "";
      fulfil(new Answer(printed, error));
      this.#next();
    }
  }

  // A prompt follows one of these lines; a document may begin like a prompt.
  #isAnswered() {
    return this.#asked.opening || this.#last === "ok" || this.#last.startsWith("error: ");
  }

  #line(line) {
    if (this.#echo && line === "^C") {
      return; // Ctrl-C came after what it was to stop
    }
    if (this.#echo || !this.#asked) {
      this.#echo = false;
      return;
    }
    this.#last = line;
    if (line !== "ok") {
      this.#asked.lines.push(line);
      this.#asked.onLine(line);
    }
  }

  #end(how) {
    this.ended ||= `the program has ended (${how}); reload the page to start again`;
    this.#asked?.fulfil(new Answer(this.#asked.lines, this.ended));
    this.#asked = null;
    this.#next();
  }
}
