// Asks the WebAssembly program through the page's own console: node ask.mjs microgpt.wasm DATASET COMMANDS BANK...
// COMMANDS: a JSON list, "^C" in it stops what runs. Prints a JSON list of answers, the first what the program began with.
import { readFileSync } from "node:fs";
import { Console } from "../../web/console.js";
import { Program } from "../../web/program.js";

const [module, dataset, commands, ...banks] = process.argv.slice(2);
const image = readFileSync(dataset);
const decoder = new TextDecoder();

class Here {
  constructor() {
    this.onText = this.onEnd = () => {};
    this.program = new Program(new WebAssembly.Module(readFileSync(module)), {
      dataset: image.buffer.slice(image.byteOffset, image.byteOffset + image.length),
      banks: banks.length > 0 ? banks.map(Number) : null,
      write: (bytes) => this.onText(decoder.decode(bytes, { stream: true })),
    });
    this.program.type(Uint8Array.of(3));
    setImmediate(() => this.run((program) => program.begin()));
  }

  run(action) {
    try {
      action(this.program);
      let state = "goes on";
      for (let turn = 0; state === "goes on" && turn < 50; ++turn) {
        state = this.program.turn();
      }
      if (state === "goes on") {
        setImmediate(() => this.run(() => {}));
      } else if (state === "ended") {
        this.onEnd("exit");
      } else {
        this.idle = true;
      }
    } catch (error) {
      this.onEnd(error.ending ?? error.stack);
    }
  }

  write(bytes) {
    this.program.type(bytes);
    if (this.idle) {
      this.idle = false;
      setImmediate(() => this.run(() => {}));
    }
  }
}

const program = new Console(new Here());
const answers = [await program.opened];
const list = JSON.parse(commands);
for (let i = 0; i < list.length; ++i) {
  let answer = null;
  if (list[i + 1] === "^C") {
    let stopped = false; // once, at the first line that is printed
    answer = program.ask(list[i++], () => stopped || ((stopped = true), program.stop()));
  } else {
    answer = program.ask(list[i]);
  }
  answers.push(await answer);
}
console.log(JSON.stringify(answers));
