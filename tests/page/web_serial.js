// A stand-in for Web Serial, put into the page before its own scripts: one port, whose far end is at /serial/ of the
// test's server (stand_in_serial.py). window.webSerial says what somebody does: chooses no port, has no permission.
(() => {
  const done = async (what, body) => (await (await fetch(`/serial/${what}`, { method: "POST", body })).text()) === "done";
  const lost = () => new DOMException("The device has been lost.", "NetworkError");

  class Port extends EventTarget {
    #open = false;
    #stream = null;
    #controller = null;
    #far = null; // what the far end says

    getInfo() {
      return { usbVendorId: 0x10c4, usbProductId: 0xea60 };
    }

    get readable() {
      if (this.#open && !this.#stream) {
        this.#stream = new ReadableStream({
          start: (controller) => (this.#controller = controller),
          cancel: () => (this.#stream = this.#controller = null),
        });
      }
      return this.#stream;
    }

    get writable() {
      this.written ??= new WritableStream({ write: async (bytes) => {
        if (!(await done("write", bytes))) {
          throw lost();
        }
      } });
      return this.#open ? this.written : null;
    }

    async open({ baudRate }) {
      if (this.#open) {
        throw new DOMException("The port is already open.", "InvalidStateError");
      }
      if (!(await done(`open?baud=${baudRate}`))) {
        throw new DOMException("Failed to open serial port.", "NetworkError");
      }
      this.#open = true;
      const response = await fetch("/serial/read");
      this.#far = response.body.getReader();
      this.#pump(this.#far);
    }

    async #pump(far) {
      for (;;) {
        const { value, done } = await far.read().catch(() => ({ done: true }));
        if (this.#far !== far) {
          return; // closed
        }
        if (done) {
          this.#open = false;
          this.#far = null;
          this.#controller?.error(lost());
          this.#stream = this.#controller = null;
          this.dispatchEvent(new Event("disconnect"));
          return;
        }
        this.readable && this.#controller.enqueue(value);
      }
    }

    /** Noise that is no byte: it ends the stream, and the port has another. */
    disturb() {
      this.#controller?.error(new DOMException("A framing error.", "FramingError"));
      this.#stream = this.#controller = null;
    }

    async setSignals({ dataTerminalReady, requestToSend }) {
      const words = Object.entries({ dtr: dataTerminalReady, rts: requestToSend }).filter(([, on]) => on !== undefined);
      if (!this.#open || !(await done(`signals?${new URLSearchParams(words)}`))) {
        throw lost();
      }
    }

    async close() {
      if (!this.#open) {
        throw new DOMException("The port is already closed.", "InvalidStateError");
      }
      if (this.#stream?.locked || this.written?.locked) {
        throw new TypeError("Cannot cancel a locked stream");
      }
      const far = this.#far;
      this.#open = false;
      this.#stream = this.#controller = this.#far = this.written = null;
      await done("close");
      await far.cancel();
    }
  }

  const port = new Port();
  window.webSerial = { port, refuses: null };
  Object.defineProperty(navigator, "serial", {
    value: {
      requestPort: async () => {
        if (window.webSerial.refuses) {
          throw new DOMException("No port selected by the user.", window.webSerial.refuses);
        }
        return port;
      },
    },
  });
})();
