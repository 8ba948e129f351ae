// Compares the module's fused multiply-add with results of fmaf: rows of four float32, a, b, c and fmaf(a, b, c), in a file.
// node compare_fma.mjs kernels.wasm ROWS; prints how many rows there were, and the first that differ.
import { readFileSync } from "node:fs";

const { exports } = new WebAssembly.Instance(new WebAssembly.Module(readFileSync(process.argv[2])));
const words = new Uint32Array(readFileSync(process.argv[3]).buffer.slice(0));
const rows = new Float32Array(words.buffer);
const result = new Float32Array(1);
const bits = new Uint32Array(result.buffer);
const wrong = [];
for (let i = 0; i < rows.length; i += 4) {
  result[0] = exports.fma_through_double(rows[i], rows[i + 1], rows[i + 2]);
  if (bits[0] !== words[i + 3] && !(Number.isNaN(result[0]) && Number.isNaN(rows[i + 3]))) {
    wrong.push([...words.subarray(i, i + 4), bits[0]].map((word) => word.toString(16)).join(" "));
  }
}
console.log(JSON.stringify({ rows: rows.length / 4, wrong: wrong.length, first: wrong.slice(0, 5) }));
