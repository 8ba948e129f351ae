// Packs texts as the page does: node pack.mjs FILE...; prints a JSON list of {image: base64} or {error}.
import { readFileSync } from "node:fs";
import { decode, pack, TextError } from "../../web/dataset.js";

function packed(file) {
  try {
    return { image: Buffer.from(pack(decode(readFileSync(file))).image).toString("base64") };
  } catch (error) {
    if (error instanceof TextError) {
      return { error: error.message };
    }
    throw error;
  }
}

console.log(JSON.stringify(process.argv.slice(2).map(packed)));
