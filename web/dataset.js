// SPDX-License-Identifier: MIT
// Packs a text as site_scons/mgbuild/plan/dataset.py does, byte for byte; the format is described there.

const MAGIC = 0x5344474d; // "MGDS"
const VERSION = 1;
const HEADER_WORDS = 8;
const MOST_CHARACTERS = 255;
const MOST_DOCUMENTS = 65535;
const MOST_BYTES = 64 << 20;

// What Python's str.strip() takes off.
const SPACE = /[\t-\r\x1c-\x20\x85\xa0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000]/;

/** Why a text cannot be packed, for people. */
export class TextError extends Error {}

const CRC_TABLE = Uint32Array.from({ length: 256 }, (_, byte) => {
  for (let bit = 0; bit < 8; ++bit) {
    byte = byte & 1 ? (byte >>> 1) ^ 0xedb88320 : byte >>> 1;
  }
  return byte;
});

/** The CRC-32 of bytes, as zlib has it. */
export function crc32(bytes) {
  let crc = 0xffffffff;
  for (const byte of bytes) {
    crc = (crc >>> 8) ^ CRC_TABLE[(crc ^ byte) & 0xff];
  }
  return (crc ^ 0xffffffff) >>> 0;
}

/** The text of a file's bytes; raises TextError. */
export function decode(bytes) {
  if (bytes.length > MOST_BYTES) {
    throw new TextError(`The text has ${bytes.length.toLocaleString("en")} bytes; at most ${MOST_BYTES.toLocaleString("en")} are packed, so keep a part.`);
  }
  const utf16 = (bytes[0] === 0xff && bytes[1] === 0xfe) || (bytes[0] === 0xfe && bytes[1] === 0xff);
  if (utf16 || bytes.includes(0)) {
    throw new TextError("The file is no UTF-8 text: it is UTF-16, or no text at all. Save it as UTF-8.");
  }
  try {
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    const line = new TextDecoder().decode(bytes).split("\ufffd", 1)[0].split(/\r\n?|\n/).length;
    throw new TextError(`The file is no UTF-8 text: line ${line} has a byte that cannot be read. Save it as UTF-8.`);
  }
}

function strip(line) {
  let first = 0;
  let last = line.length;
  while (first < last && SPACE.test(line[first])) {
    ++first;
  }
  while (last > first && SPACE.test(line[last - 1])) {
    --last;
  }
  return line.slice(first, last);
}

/** The text, with a replacement character for each half of a pair. */
export const wellFormed = (text) => new TextDecoder("utf-8", { ignoreBOM: true }).decode(new TextEncoder().encode(text));

/** Documents of a text: its lines, stripped, without those that are blank; raises TextError when there are none or too many. */
export function documents(text) {
  const lines = wellFormed(text).replace(/^\ufeff/, "").split(/\r\n?|\n/);
  const found = lines.map(strip).filter((line) => line !== "");
  if (found.length === 0) {
    throw new TextError("The text is empty. Give one with a name, a word or a sentence in each line.");
  }
  if (found.length > MOST_DOCUMENTS) {
    const [has, most] = [found.length, MOST_DOCUMENTS].map((count) => count.toLocaleString("en"));
    throw new TextError(`The text has ${has} lines, and the program can hold ${most}. Keep a part.`);
  }
  return found;
}

/** {image: ArrayBuffer, documents, characters} of a text; raises TextError when it is more than the program can hold. */
export function pack(text) {
  const lines = documents(text);
  const seen = new Set();
  let tokens = 0;
  for (const line of lines) {
    for (const character of line) {
      seen.add(character.codePointAt(0));
      ++tokens;
    }
  }
  const alphabet = [...seen].sort((a, b) => a - b);
  if (alphabet.length > MOST_CHARACTERS) {
    throw new TextError(
      `The text has ${alphabet.length.toLocaleString("en")} different characters, and a token can name ` +
        `${MOST_CHARACTERS}. Replace rare ones, for example capitals, accents or emoji.`,
    );
  }
  const words = HEADER_WORDS + alphabet.length + lines.length + 1;
  const size = 4 * words + tokens + ((4 - (tokens % 4)) % 4);
  const view = new DataView(new ArrayBuffer(size));
  const bytes = new Uint8Array(view.buffer);
  const token = new Map(alphabet.map((character, index) => [character, index]));
  let word = HEADER_WORDS;
  const put = (value) => view.setUint32(4 * word++, value, true);
  alphabet.forEach(put);
  let offset = 0;
  put(offset);
  for (const line of lines) {
    for (const character of line) {
      bytes[4 * words + offset++] = token.get(character.codePointAt(0));
    }
    put(offset);
  }
  word = 0;
  const checksum = crc32(bytes.subarray(4 * HEADER_WORDS));
  [MAGIC, VERSION, size, lines.length, alphabet.length, tokens, checksum, 0].forEach(put);
  return { image: view.buffer, documents: lines.length, characters: alphabet.length };
}
