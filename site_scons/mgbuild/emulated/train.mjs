// SPDX-License-Identifier: MIT
// Runs the WebAssembly program, as the page does, until its run is over: node train.mjs microgpt.wasm DATASET.
// Prints what the program says; its "# time per step" is by the clock of Node.
import { readFileSync } from "node:fs";
import { Program } from "../../../web/program.js";

const [module, dataset] = process.argv.slice(2);
const image = readFileSync(dataset);
const decoder = new TextDecoder();
let said = "";
const program = new Program(new WebAssembly.Module(readFileSync(module)), {
  dataset: image.buffer.slice(image.byteOffset, image.byteOffset + image.length),
  write: (bytes) => (said += decoder.decode(bytes, { stream: true })),
});
program.begin();
while (!/^weights crc32: .*\n/m.test(said) && program.turn() === "goes on");
console.log(said);
