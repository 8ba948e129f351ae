// Speaks through the page's console with boards that answer as they should not; prints {case: [error, lines, typed]} as JSON.
import { Console } from "../../web/console.js";

const PATIENCE = 1500; // milliseconds

// A board that says, to what is typed, what its script has for it: a text, or {after: milliseconds, text}; to the first
// Ctrl-C a prompt.
class Board {
  patience = PATIENCE;
  typed = "";

  constructor(script) {
    this.script = script;
    this.onText = this.onEnd = () => {};
  }

  write(bytes) {
    const keys = new TextDecoder().decode(bytes);
    const said = this.typed === "" ? "> " : this.script[keys];
    this.typed += keys;
    if (said) {
      setTimeout(() => this.onText(said.text ?? said), said.after ?? 0);
    }
  }

  close() {}
}

async function answer(script, command = "info", patience = undefined) {
  const board = new Board(script);
  const console = new Console(board);
  let restarted = false;
  console.onRestart = () => (restarted = true);
  await console.greet(5000);
  const { error, lines } = await console.ask(command, () => {}, patience);
  if (restarted) {
    lines.push((await console.greet(5000)) ? "a prompt" : "no prompt");
  }
  return [error, lines, board.typed];
}

const info = (text) => answer({ "info\n": text });
const cases = {
  "as it should": info("info\r\nx\r\nok\r\n> "),
  "no echo": info("x\nok\n> "),
  "a document like a prompt": info("info\r\n> \r\n> x\r\nok\r\n> "),
  "an error": info("info\r\nerror: no such thing\r\n> "),
  "a damaged prompt": info("info\r\nx\r\nok\r\n\ufffd "),
  "a damaged ok": info("info\r\nx\r\no\ufffd\r\n> "),
  "a lost line end": info("info\r\nx\r\nok> "),
  "a damaged echo": info("in\ufffdo\r\nx\r\nok\r\n> "),
  "silence, until it is stopped": answer({ "\x03": "^C\r\n> ", "info\n": "info\r\n" }),
  "silence": answer({ "info\n": { after: 10, text: "info\r\nx" } }),
  "a restart": answer({ "\x03": "> ", "info\n": "info\r\nx\r\n# microgpt-lx6 v1\r\n" }),
  "a long training": answer({ "train 5\n": { after: 2 * PATIENCE, text: "train 5\r\nx\r\nok\r\n> " } }, "train 5", Infinity),
  "a long answer": answer({ "info\n": { after: 2 * PATIENCE, text: "info\r\nx\r\nok\r\n> " } }),
};
const found = await Promise.all(Object.values(cases));
console.log(JSON.stringify(Object.fromEntries(Object.keys(cases).map((name, i) => [name, found[i]]))));
