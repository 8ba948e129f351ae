// SPDX-License-Identifier: MIT
// The program's lines as data. Texts may hold any character, so columns are counted in code points.

const LABEL = 3; // columns of a token

/** {step, steps, loss} of a line of training, or null. */
export function step(line) {
  const found = /^step +(\d+) \/ +(\d+) \| loss (\d+\.\d+)$/.exec(line);
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
      const columns = rest.trim().split(/ +/);
      if (columns.length === block.length) {
        columns.forEach((tenths, i) => {
          block[i].labels.push(label);
          block[i].weights.push(Array.from(tenths, (digit) => Number(digit) || 0));
        });
      }
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

/** Settings of the answer to `set`, by name. */
export function settings(lines) {
  return new Map([...lines.join("\n").matchAll(/(\w+)=(\S+)/g)].map(([, name, value]) => [name, value]));
}

/** How long the chip would train, as `info` estimates it: "about 0.60 s for 1000 steps". */
export function trainingTime(lines) {
  return /^time: (about .+? steps)/m.exec(lines.join("\n"))?.[1] ?? "an unknown time";
}

/** Tokens of the text that `info` tells of: its characters, and the one that begins and ends a document. */
export function vocabulary(lines) {
  return Number(/^text: \d+ documents, (\d+) characters/m.exec(lines.join("\n"))?.[1] ?? 26) + 1;
}

/**
 * What `info` says of the text and the model: {text, shape, seed, step, steps, checksum, outdated}, or null without a model.
 * outdated: the settings are no longer those it was trained with.
 */
export function state(lines) {
  const all = lines.join("\n");
  const model = /^model: n_embd=(\d+) n_head=(\d+) n_layer=(\d+) block_size=(\d+),/m.exec(all);
  const training = /^training: (?:seed (\S+), )?step (\d+) of (\d+), weights crc32 ([0-9a-f]{8})$/m.exec(all);
  if (!model || !training) {
    return null;
  }
  const [n_embd, n_head, n_layer, block_size] = model.slice(1).map(Number);
  const [seed, step, steps, checksum] = training.slice(1);
  return {
    text: /^text: (.+)$/m.exec(all)?.[1],
    shape: { n_embd, n_head, n_layer, block_size },
    ...{ seed, checksum, step: Number(step), steps: Number(steps) },
    outdated: /^# settings have changed/m.test(all),
  };
}
