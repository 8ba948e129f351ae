// SPDX-License-Identifier: MIT
// The program as a WebAssembly module (src_c/board/wasm/board.c): its memory, its console, its turns.

const NOTHING_TYPED = -1; // INPUT_NONE of src_c/board/board.h
const ENDINGS = ["reset", "exit", "panic"]; // enum ending
const TURNS = ["goes on", "waits", "ended"]; // enum app_state

/** What the program throws when it ends: `ending` is one of ENDINGS. */
export class Ended extends Error {
  constructor(ending, status) {
    super(`the program has ended: ${ending}`);
    this.ending = ending;
    this.status = status;
  }
}

export class Program {
  /**
   * module: WebAssembly.Module; dataset: ArrayBuffer with a packed text; banks: bytes of each bank of memory that a model may
   * fill, or nothing for the module's own; write: takes what the program prints, as bytes that are its own until it returns.
   * Raises Error where the memory is not to be had.
   */
  constructor(module, { dataset, banks = null, write }) {
    this.typed = [];
    const page = {
      write: (address, length) => write(new Uint8Array(this.exports.memory.buffer, address, length)),
      read: () => (this.typed.length > 0 ? this.typed.shift() : NOTHING_TYPED),
      random: () => crypto.getRandomValues(new Uint32Array(1))[0],
      microseconds: () => Math.floor(performance.now() * 1000) | 0,
      end: (ending, status) => {
        throw new Ended(ENDINGS[ending], status);
      },
    };
    this.exports = new WebAssembly.Instance(module, { page }).exports;
    banks?.concat(0).forEach((bytes, bank) => this.exports.set_bank(bank, bytes));
    const address = this.exports.make_room(dataset.byteLength) >>> 0;
    if (address === 0) {
      throw new Error("this browser has not enough memory for the text and a model");
    }
    new Uint8Array(this.exports.memory.buffer).set(new Uint8Array(dataset), address);
  }

  /** Types bytes at the console. */
  type(bytes) {
    this.typed.push(...bytes);
  }

  begin() {
    this.exports.app_begin();
  }

  /** One turn, of milliseconds; returns one of TURNS: "waits" when it has read all that was typed. */
  turn() {
    const state = TURNS[this.exports.app_turn()];
    return state === "waits" && this.typed.length > 0 ? "goes on" : state;
  }
}
