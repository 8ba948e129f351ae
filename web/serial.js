// SPDX-License-Identifier: MIT
// A board on a serial port (Web Serial): the transport of its console, and its reset line.

const RESET_MILLISECONDS = 100;
const GONE = "the board is gone: plug it in again, and press Connect";

/** Why something with the board failed, for people. */
export class BoardError extends Error {}

/** Whether this browser lets a page have serial ports. */
export const hasSerial = () => "serial" in navigator;

/** The port that somebody chooses in the browser's own window; raises BoardError when nobody does, or may. */
export async function choosePort() {
  try {
    return await navigator.serial.requestPort();
  } catch (error) {
    if (error.name === "NotFoundError") {
      throw new BoardError(
        "No port was chosen. If the list was empty: use a cable that carries data, and look whether the system needs a driver for the board's USB chip (CP210x, CH340).",
      );
    }
    throw new BoardError(`The browser refuses serial ports to this page (${error.message}). Allow them in the settings of this site, and connect again.`);
  }
}

/** Opens a port at so many bits per second; raises BoardError. */
export async function openPort(port, baudRate) {
  try {
    await port.open({ baudRate, bufferSize: 1 << 16 });
  } catch (error) {
    throw new BoardError(
      "The port does not open: another program has it (a monitor, a terminal, another tab), or you may not use it (on Linux: " +
        "join the group dialout). Close what has it, and connect again.",
      { cause: error },
    );
  }
}

export const pause = (milliseconds) => new Promise((fulfil) => setTimeout(fulfil, milliseconds));

/** Pulls EN low for a moment, by RTS, as the usual circuit has it. */
export async function reset(port) {
  await port.setSignals({ dataTerminalReady: false, requestToSend: true });
  await pause(RESET_MILLISECONDS);
  await port.setSignals({ dataTerminalReady: false, requestToSend: false });
}

/** The transport to a board: see WorkerTransport. */
export class SerialTransport {
  patience = 20000;
  #reader = null;
  #closing = false;
  #writing = Promise.resolve();
  #reading;

  /** port: open. */
  constructor(port) {
    this.port = port;
    this.onText = this.onEnd = () => {};
    this.#reading = this.#read();
  }

  write(bytes) {
    this.#writing = this.#writing.then(() => this.#write(bytes));
  }

  /** Fulfilled when the port is closed. */
  async close() {
    this.#closing = true;
    await this.#reader?.cancel().catch(() => {});
    await this.#reading;
    await this.#writing;
    await this.port.close().catch(() => {}); // it is gone
  }

  async #write(bytes) {
    const writer = this.port.writable?.getWriter();
    try {
      await writer?.write(bytes);
    } catch {
      // the reader says that the board is gone
    } finally {
      writer?.releaseLock();
    }
  }

  async #read() {
    const decoder = new TextDecoder();
    // Noise on the line, a framing error or a break, ends one stream and begins another; a board that is gone has none.
    while (this.port.readable && !this.#closing) {
      this.#reader = this.port.readable.getReader();
      try {
        for (let { value, done } = await this.#reader.read(); !done; { value, done } = await this.#reader.read()) {
          this.onText(decoder.decode(value, { stream: true }));
        }
      } catch {
        await pause(0);
      } finally {
        this.#reader.releaseLock();
      }
    }
    if (!this.#closing) {
      this.onEnd(GONE);
      await this.port.close().catch(() => {});
    }
  }
}
