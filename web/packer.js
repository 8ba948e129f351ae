// SPDX-License-Identifier: MIT
// Packs a text beside the page, which stays quick. Takes a Blob or a text; gives {image, documents, characters} or {error}.
import { decode, pack, TextError } from "./dataset.js";

self.onmessage = async ({ data }) => {
  try {
    const text = typeof data === "string" ? data : decode(new Uint8Array(await data.arrayBuffer()));
    const packed = pack(text);
    postMessage(packed, [packed.image]);
  } catch (error) {
    const said = error instanceof TextError ? error.message : `The text could not be read: ${error.message}`;
    postMessage({ error: said });
  }
};
