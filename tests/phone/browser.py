"""A real Chromium, headless, driven by the DevTools protocol over two pipes.

Why pipes: Chromium speaks its protocol over descriptors 3 and 4 (--remote-debugging-pipe), one JSON message up to each
zero byte, so a driver needs Python's own library and nothing else: no port, no websocket, no package.

Must never: sleep for a fixed time. What is waited for is a condition of the page, with a deadline.
"""

import base64
import json
import os
import shutil
import subprocess
import tempfile
import threading
import time

DEADLINE_S = 30
PHONE = {"width": 390, "height": 844, "deviceScaleFactor": 2, "mobile": True}
NAMES = ("chromium", "chromium-browser", "google-chrome")


class Failed(Exception):
    """The page, or the browser, did not do what it must."""


def find():
    """The browser's path. TERCET_CHROMIUM names another than the system's."""
    named = os.environ.get("TERCET_CHROMIUM")
    found = next((path for path in ([named] if named else map(shutil.which, NAMES)) if path), None)
    if not found:
        raise Failed("Chromium is missing; run: sudo apt-get install -y --no-install-recommends chromium")
    return found


class Browser:
    """One process of Chromium with a profile of its own."""

    def __init__(self):
        self.folder = tempfile.mkdtemp(prefix="tercet-phone-")
        (to_read, to_write), (from_read, from_write) = os.pipe(), os.pipe()
        flags = ["--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run",
                 "--disable-extensions", "--disable-background-networking", "--disable-component-update", "--hide-scrollbars",
                 "--remote-debugging-pipe", f"--user-data-dir={self.folder}", "about:blank"]

        def pipes():
            # 3 and 4 may be among the four: they are moved out of the way first.
            reading, writing = os.dup(to_read), os.dup(from_write)
            reading, writing = (os.dup(end) if end in (3, 4) else end for end in (reading, writing))
            os.dup2(reading, 3)
            os.dup2(writing, 4)

        self.process = subprocess.Popen([find(), *flags], preexec_fn=pipes, close_fds=False, stdin=subprocess.DEVNULL,
                                        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        os.close(to_read)
        os.close(from_write)
        self.out, self.inward = os.fdopen(to_write, "wb", buffering=0), os.fdopen(from_read, "rb", buffering=0)
        self.number, self.answers, self.events = 0, {}, []
        self.changed = threading.Condition()
        threading.Thread(target=self.listen, daemon=True).start()

    def listen(self):
        rest = b""
        while piece := self.inward.read(1 << 16):
            *messages, rest = (rest + piece).split(b"\0")
            with self.changed:
                for message in map(json.loads, messages):
                    if "id" in message:
                        self.answers[message["id"]] = message
                    else:
                        self.events.append(message)
                self.changed.notify_all()

    def call(self, method, session=None, **facts):
        """Asks the browser for something and waits for its answer."""
        with self.changed:
            self.number += 1
            number = self.number
        message = {"id": number, "method": method, "params": facts, **({"sessionId": session} if session else {})}
        self.out.write(json.dumps(message).encode() + b"\0")
        with self.changed:
            if not self.changed.wait_for(lambda: number in self.answers, DEADLINE_S):
                raise Failed(f"no answer to {method}")
            answer = self.answers.pop(number)
        if "error" in answer:
            raise Failed(f"{method}: {answer['error']}")
        return answer["result"]

    def page(self, url, language="en-US"):
        """A phone of somebody: a page with its own cookies and storage."""
        context = self.call("Target.createBrowserContext")["browserContextId"]
        target = self.call("Target.createTarget", url="about:blank", browserContextId=context)["targetId"]
        session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        page = Page(self, session)
        page.call("Page.enable")
        page.call("Runtime.enable")
        page.call("Emulation.setDeviceMetricsOverride", **PHONE)
        page.call("Emulation.setTouchEmulationEnabled", enabled=True)
        page.call("Emulation.setUserAgentOverride", userAgent="Mozilla/5.0 (phone) Chromium", acceptLanguage=language)
        page.call("Emulation.setFocusEmulationEnabled", enabled=True)
        page.call("Page.navigate", url=url)
        page.until("document.querySelector('#title')?.textContent")
        return page

    def close(self):
        """Ends the browser and takes its profile away."""
        try:
            self.call("Browser.close")
        except (Failed, OSError):
            self.process.kill()
        self.process.wait(timeout=DEADLINE_S)
        shutil.rmtree(self.folder, ignore_errors=True)


class Page:
    """One page, as somebody sees and uses it."""

    def __init__(self, browser, session):
        self.browser, self.session = browser, session

    def call(self, method, **facts):
        return self.browser.call(method, session=self.session, **facts)

    def run(self, expression):
        """The value of an expression in the page; a promise is waited for."""
        said = self.call("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        if "exceptionDetails" in said:
            raise Failed(f"{expression}: {said['exceptionDetails'].get('exception', {}).get('description')}")
        return said["result"].get("value")

    def until(self, expression, seconds=DEADLINE_S):
        """Waits until an expression is true in the page; answers its value."""
        end = time.monotonic() + seconds
        # A node comes over as an empty object, and is there all the same.
        while (value := self.run(expression)) in (None, False, "", 0):
            if time.monotonic() > end:
                raise Failed(f"not within {seconds} s: {expression}\n{self.run('document.body.innerText')}")
            time.sleep(0.03)
        return value

    def gone(self, expression, seconds=DEADLINE_S):
        return self.until(f"!({expression})", seconds)

    def text(self):
        return self.run("document.querySelector('#envelope[open]')?.innerText ?? document.getElementById('phone').innerText")

    def shows(self, text, seconds=DEADLINE_S):
        """Waits until the page shows a text."""
        quoted = json.dumps(text)
        return self.until(f"document.body.innerText.includes({quoted})", seconds)

    def press(self, selector, text=None):
        """Presses what a selector, and a text in it, names, where its middle lies."""
        place = self.until(f"""(() => {{
            const all = [...document.querySelectorAll({json.dumps(selector)})].filter((node) => node.checkVisibility());
            const node = all.find((node) => {json.dumps(text)} === null || node.innerText.includes({json.dumps(text)}));
            if (!node || node.disabled) return null;
            node.scrollIntoView({{block: "center"}});
            const box = node.getBoundingClientRect();
            return [box.x + box.width / 2, box.y + box.height / 2];
        }})()""")
        for kind in ("mousePressed", "mouseReleased"):
            self.call("Input.dispatchMouseEvent", type=kind, x=place[0], y=place[1], button="left", clickCount=1)

    def write(self, selector, text):
        """Writes a text into an input as if typed."""
        self.until(f"!!document.querySelector({json.dumps(selector)})?.checkVisibility()")
        self.run(f"(() => {{ const node = document.querySelector({json.dumps(selector)}); node.focus(); node.select(); }})()")
        self.call("Input.insertText", text=text)

    def key(self, name, code=None, text=None, modifiers=0):
        """Presses a key."""
        codes = {"Tab": 9, "Enter": 13, "Escape": 27, " ": 32, "ArrowRight": 39, "ArrowDown": 40}
        facts = {"key": name, "code": code or ("Space" if name == " " else name), "windowsVirtualKeyCode": codes.get(name, 0), "modifiers": modifiers}
        typed = {"Enter": "\r", " ": " "}.get(name, text)
        self.call("Input.dispatchKeyEvent", type="keyDown" if typed else "rawKeyDown", **facts, **({"text": typed} if typed else {}))
        self.call("Input.dispatchKeyEvent", type="keyUp", **facts)

    def tab_to(self, selector, most=60):
        """Goes by the Tab key alone until what has the focus fits the selector."""
        for _ in range(most):
            if self.run(f"document.activeElement?.matches({json.dumps(selector)}) ?? false"):
                return
            self.key("Tab")
        raise Failed(f"the Tab key does not lead to {selector}")

    def shot(self, path):
        """A picture of the page."""
        picture = self.call("Page.captureScreenshot", format="png")["data"]
        with open(path, "wb") as file:
            file.write(base64.b64decode(picture))

    def complaints(self):
        """What the page's console has complained of, exceptions too."""
        with self.browser.changed:
            events = [event for event in self.browser.events if event.get("sessionId") == self.session]
        thrown = [event["params"]["exceptionDetails"] for event in events if event["method"] == "Runtime.exceptionThrown"]
        return [one.get("exception", {}).get("description", one["text"]) for one in thrown]
