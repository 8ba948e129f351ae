// SPDX-License-Identifier: MIT
// Runs the program beside the page. Takes {module, dataset, banks} first, then bytes typed; gives {text} printed, and {ended}.
import { Program } from "./program.js";

const SLICE = 12; // milliseconds between two looks at what was typed
const decoder = new TextDecoder();
const wake = new MessageChannel(); // comes back sooner than a timer
let program = null;
let printed = "";
let running = false;

function flush() {
  if (printed !== "") {
    postMessage({ text: printed });
    printed = "";
  }
}

function run() {
  const until = performance.now() + SLICE;
  let state = "goes on";
  try {
    while (state === "goes on" && performance.now() < until) {
      state = program.turn();
    }
  } catch (error) {
    end(error.ending ?? `it failed: ${error.message}`);
    return;
  }
  flush();
  running = state === "goes on";
  if (state === "ended") {
    end("exit");
  } else if (running) {
    wake.port2.postMessage(null);
  }
}

function end(how) {
  flush();
  program = null;
  running = false;
  postMessage({ ended: how });
}

function begin({ module, dataset, banks, typed }) {
  try {
    program = new Program(module, {
      dataset,
      banks,
      write: (bytes) => (printed += decoder.decode(bytes, { stream: true })),
    });
    program.type(typed);
    program.begin();
  } catch (error) {
    end(error.ending ?? error.message);
    return;
  }
  run();
}

wake.port1.onmessage = run;
self.onmessage = ({ data }) => {
  if (data.module) {
    begin(data);
  } else if (program) {
    program.type(data);
    if (!running) {
      running = true;
      wake.port2.postMessage(null);
    }
  }
};
