// Carries out calls of kernels: node run_kernels.mjs kernels.wasm CALLS. CALLS: a JSON list of {kernel, arguments}, where an
// argument is a number or the base64 of a buffer; prints the buffers of each call as the kernel left them.
import { readFileSync } from "node:fs";

const { exports } = new WebAssembly.Instance(new WebAssembly.Module(readFileSync(process.argv[2])));
const { memory } = exports;
memory.grow(256);

function run({ kernel, arguments: given }) {
  let free = (exports.__heap_base.value + 15) & ~15;
  const buffers = [];
  const words = given.map((argument) => {
    if (typeof argument !== "string") {
      return argument;
    }
    const bytes = Buffer.from(argument, "base64");
    new Uint8Array(memory.buffer).set(bytes, free);
    buffers.push([free, bytes.length]);
    free += (bytes.length + 15) & ~15;
    return buffers.at(-1)[0];
  });
  exports[kernel](...words);
  return buffers.map(([address, length]) => Buffer.from(memory.buffer, address, length).toString("base64"));
}

console.log(JSON.stringify(JSON.parse(readFileSync(process.argv[3], "utf8")).map(run)));
