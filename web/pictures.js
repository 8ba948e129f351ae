// SPDX-License-Identifier: MIT
// What the page draws: the loss, bars, and where heads look. Each picture says in words what it shows, too.

const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();

/** A canvas's context in CSS pixels, cleared, for a canvas of width times height of them. */
function surface(canvas, width, height) {
  const scale = window.devicePixelRatio || 1;
  canvas.width = Math.round(width * scale);
  canvas.height = Math.round(height * scale);
  const context = canvas.getContext("2d");
  context.scale(scale, scale);
  context.font = "13px system-ui, sans-serif";
  return context;
}

/** Mean of each value and those before it, as many as `window`. */
export function movingAverage(values, window) {
  let sum = 0;
  return values.map((value, i) => {
    sum += value - (i >= window ? values[i - window] : 0);
    return sum / Math.min(i + 1, window);
  });
}

/** How many points the average of so many goes over. */
export const averaged = (count) => Math.max(1, Math.min(100, Math.round(count / 5)));

/** Draws the loss: points [{step, loss}] of `steps`, and pure guessing among `vocabulary` tokens. */
export function drawCurve(canvas, points, steps, vocabulary) {
  const { clientWidth: width, clientHeight: height } = canvas;
  const context = surface(canvas, width, height);
  const guessing = Math.log(vocabulary);
  const losses = points.map(({ loss }) => loss);
  const highest = losses.reduce((most, loss) => Math.max(most, loss), guessing * 1.25);
  const lowest = losses.reduce((least, loss) => Math.min(least, loss), guessing * 0.5);
  const [left, right, top, bottom] = [36, width - 8, 8, height - 24];
  const x = (step) => left + ((right - left) * (step - 1)) / Math.max(1, steps - 1);
  const y = (loss) => bottom - ((bottom - top) * (loss - lowest)) / (highest - lowest);

  context.strokeStyle = colour("line");
  context.fillStyle = colour("soft");
  context.textBaseline = "middle";
  context.beginPath();
  const gap = highest - lowest > 12 ? Math.ceil((highest - lowest) / 6) : 1;
  for (let loss = Math.ceil(lowest); loss <= highest; loss += gap) {
    context.moveTo(left, y(loss));
    context.lineTo(right, y(loss));
    context.fillText(String(loss), 4, y(loss));
  }
  context.stroke();
  context.textBaseline = "alphabetic";
  context.fillText("step 1", left, height - 6);
  context.textAlign = "right";
  context.fillText(String(steps), right, height - 6);

  context.fillStyle = colour("point");
  points.forEach(({ step, loss }) => context.fillRect(x(step) - 1, y(loss) - 1, 2, 2));

  context.strokeStyle = context.fillStyle = colour("soft");
  context.setLineDash([6, 4]);
  context.beginPath();
  context.moveTo(left, y(guessing));
  context.lineTo(right, y(guessing));
  context.stroke();
  context.setLineDash([]);
  context.fillText(`pure guessing: log ${vocabulary} = ${guessing.toFixed(2)}`, right, y(guessing) - 5);

  context.strokeStyle = colour("accent");
  context.lineWidth = 2.5;
  context.lineJoin = "round";
  context.beginPath();
  const averages = movingAverage(losses, averaged(losses.length));
  averages.forEach((loss, i) => context.lineTo(x(points[i].step), y(loss)));
  context.stroke();
  const now = points.length > 0 ? `${averages.at(-1).toFixed(3)} at step ${points.at(-1).step} of ${steps}` : "nothing yet";
  canvas.setAttribute("aria-label", `Loss, averaged: ${now}; pure guessing has ${guessing.toFixed(2)}`);
}

/** A token as it can be seen and heard. */
export const visible = (label) => (label === " " ? "space" : label);

/** A list of labelled bars; most: the value of a full one; say: the value in words. */
export function bars(rows, most, say) {
  const list = document.createElement("ol");
  list.className = "bars";
  for (const { label, value } of rows) {
    const [item, name, room, bar, number] = ["li", "span", "span", "div", "span"].map((tag) => document.createElement(tag));
    name.className = "label";
    name.textContent = visible(label);
    bar.className = "bar";
    bar.style.width = `${100 * Math.min(1, value / most)}%`;
    number.textContent = say(value);
    room.append(bar);
    item.append(name, room, number);
    list.append(item);
  }
  return list;
}

/** A picture of one head: {layer, head, labels, weights} of answers.attention(). */
export function headPicture({ layer, head, labels, weights }) {
  const cell = labels.length > 24 ? 8 : 18;
  const margin = cell + 4;
  const size = margin + cell * labels.length;
  const figure = document.createElement("figure");
  const caption = document.createElement("figcaption");
  const canvas = document.createElement("canvas");
  caption.textContent = `Layer ${layer}, head ${head}`;
  canvas.style.width = `${size}px`;
  const context = surface(canvas, size, size);
  context.font = `${cell - 4}px ui-monospace, monospace`;
  context.textAlign = "center";
  context.textBaseline = "middle";
  labels.forEach((label, i) => {
    context.fillStyle = colour("soft");
    context.fillText(label, margin / 2, margin + cell * (i + 0.5));
    context.fillText(label, margin + cell * (i + 0.5), margin / 2);
    weights[i].forEach((tenths, j) => {
      context.globalAlpha = 0.06 + (0.94 * tenths) / 9;
      context.fillStyle = colour("accent");
      context.fillRect(margin + cell * j, margin + cell * i, cell - 1, cell - 1);
    });
    context.globalAlpha = 1;
  });
  const looks = labels.map((label, i) => {
    const most = weights[i].indexOf(Math.max(...weights[i]));
    return `${visible(label)} at ${visible(labels[most])}`;
  });
  canvas.setAttribute("role", "img");
  canvas.setAttribute("aria-label", `Layer ${layer}, head ${head} looks most: ${looks.join(", ")}`);
  figure.append(caption, canvas);
  return figure;
}
