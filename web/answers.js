// SPDX-License-Identifier: MIT
// The program's lines as data. Texts may hold any character, so columns are counted in code points.

const LABEL = 3; // columns of a token

/** {step, steps, loss} of a line of training, or null. */
export function step(line) {
  const found = /^step +(\d+) \/ +(\d+) \| loss (.+)$/.exec(line);
  return found && { step: Number(found[1]), steps: Number(found[2]), loss: Number(found[3]) };
}

/** The document in a line of samples, or null. */
export function sample(line) {
  return /^sample +\d+: (.*)$/su.exec(line)?.[1] ?? null;
}

/** The weights' checksum in a line, or null. */
export function checksum(line) {
  return /^weights crc32: ([0-9a-f]{8})$/.exec(line)?.[1] ?? null;
}

function labelled(line) {
  const characters = Array.from(line);
  const label = characters.slice(0, LABEL).join("");
  return { label: /^ {2}/.test(label) ? label.slice(2) : label, rest: characters.slice(LABEL).join("") };
}

/** Rows of `next` and `loss`: [{label, value}]; label: a character, or "end". */
export function bars(lines) {
  return lines.flatMap((line) => {
    const { label, rest } = labelled(line);
    const found = /^ {2}(\d+\.\d+)(?: |$)/.exec(rest);
    return found ? [{ label, value: Number(found[1]) }] : [];
  });
}

/** {mean, guessing} of the answer to `loss`, in nats, or null. */
export function mean(lines) {
  const found = /^mean (\S+) nats; pure guessing has (\S+)$/.exec(lines.at(-1) ?? "");
  return found && { mean: Number(found[1]), guessing: Number(found[2]) };
}

/** Heads of the answer to `attention`: [{layer, head, labels, weights}]; weights[i][j]: how much row i looks at column j, in tenths. */
export function attention(lines) {
  const heads = [];
  let layer = 0;
  let block = [];
  for (const line of lines) {
    const begins = /^layer (\d+)$/.exec(line);
    const names = line.match(/head \d+/g);
    if (begins) {
      layer = Number(begins[1]);
      block = [];
    } else if (block.length === 0 && names && layer > 0) {
      block = names.map((name) => ({ layer, head: Number(name.slice(5)), labels: [], weights: [] }));
      heads.push(...block);
    } else if (block.length > 0) {
      const { label, rest } = labelled(line);
      rest.trim().split(/ +/).forEach((tenths, i) => {
        block[i].labels.push(label);
        block[i].weights.push(Array.from(tenths, (digit) => (digit === "." ? 0 : Number(digit))));
      });
    }
  }
  return heads;
}

/** {taken, room, purposes: [{bytes, purpose}]} of the answer to `info`, or null without a model. */
export function memory(lines) {
  const at = lines.findIndex((line) => line.startsWith("memory: "));
  if (at < 0) {
    return null;
  }
  const [taken, room] = lines[at].match(/\d+/g).map(Number);
  const purposes = lines.slice(at + 1).flatMap((line) => {
    const found = /^ *(\d+) {2}(.+)$/.exec(line);
    return found ? [{ bytes: Number(found[1]), purpose: found[2] }] : [];
  });
  return { taken, room, purposes };
}
