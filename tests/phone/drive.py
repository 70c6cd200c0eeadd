"""The evening on real phones: two people send, grab and open in Chromium, in both languages, by hand and by keyboard, also
while the ledger's leader is dead.

    drive.py CLUSTER_BINARY CLUSTER_FOLDER [PICTURES_FOLDER]

Prints JSON: what was seen. Exit code: not 0 where a page did not do what it must.

Must never: ask the API for what a person would do on the page.
"""

import json
import pathlib
import subprocess
import sys
import time

from browser import Browser, Failed

CHECKS = pathlib.Path(__file__).with_name("checks.js").read_text(encoding="utf-8")
CLUSTER, FOLDER = sys.argv[1], pathlib.Path(sys.argv[2])
PICTURES = pathlib.Path(sys.argv[3]) if len(sys.argv) > 3 else None
ROUNDS_MAX = 6
FIRST_FEN = 100_000
# What a share is said to be, in the order in which it was said, even if only for a moment.
WATCH = """
window.said = [];
new MutationObserver(() => {
  const standing = document.querySelector("#standing");
  const word = standing?.className.replace("standing ", "");
  if (word && window.said.at(-1) !== word) window.said.push(word);
}).observe(document.body, { subtree: true, childList: true, attributes: true });
"""


def must(is_so, what):
    if not is_so:
        raise Failed(what)


def cluster(*words):
    done = subprocess.run([CLUSTER, *words, "--dir", str(FOLDER)], capture_output=True, text=True, check=False)
    must(done.returncode == 0, f"cluster {words}: {done.stdout}{done.stderr}")
    return done.stdout


def apps():
    return {node["node"]: node["http"] for node in json.loads((FOLDER / "cluster.json").read_text(encoding="utf-8"))["app"]}


def ledger_leader():
    """The node that leads the first group of the ledger, once there is one: an election may be under way."""
    until = time.monotonic() + 30
    while time.monotonic() < until:
        done = subprocess.run([CLUSTER, "status", "-o", "json", "--dir", str(FOLDER)], capture_output=True, text=True, check=False)
        # Of a cluster that is not healthy the status says so by its exit code, and is printed all the same.
        nodes = json.loads(done.stdout)["nodes"] if done.stdout else []
        leads = [node["node"] for node in nodes if node["node"] in apps() for group in node.get("groups", [])
                 if group["group"] == 1 and group["role"] == "leader"]
        if leads:
            return leads[0]
        time.sleep(0.1)
    raise Failed("the ledger has a leader")


class Evening:
    """The phones and what was seen on them."""

    def __init__(self):
        self.browser, self.seen, self.shots = Browser(), {}, 0

    def picture(self, page, name):
        """Checks what everybody must be able to see and use, and takes a picture."""
        page.run("Promise.all(document.getAnimations().filter((one) => one.effect.getTiming().iterations !== Infinity).map((one) => one.finished.catch(() => {})))")
        if PICTURES:
            self.shots += 1
            page.shot(PICTURES / f"{self.shots:02}-{name}.png")
        faults = page.run(CHECKS)
        must(not faults, f"{name}: {faults}")

    def enter(self, address, name, language="en-US"):
        page = self.browser.page(f"http://{address}/", language)
        page.run(WATCH)
        self.picture(page, f"welcome-{language}")
        page.write(".welcome input", name)
        page.press(".welcome .do")
        page.until("location.hash === '#chats' && document.querySelector('#tabs a')?.checkVisibility()")
        return page


def fen(page):
    """The balance that the wallet shows."""
    page.run("location.hash = 'wallet'")
    return int(page.until("document.querySelector('#balance strong')?.textContent.replace(/[,.]/g, '')"))


def make_chat(evening, ann, ben, name):
    evening.picture(ann, "no-chats")
    ann.press("#action")
    ann.write(".panel:nth-of-type(1) input", name)
    evening.picture(ann, "new-chat")
    ann.press(".panel:nth-of-type(1) .do")
    code = ann.until("document.querySelector('.code code')?.textContent")
    ben.press("#action")
    ben.write(".panel:nth-of-type(2) input", code)
    ben.press(".panel:nth-of-type(2) .do")
    ben.until("document.querySelector('.log')")
    return code


def send(page, chat, total, shares, greeting, kind="lucky", password="", cover="red"):
    """A packet by the sheet, as a person fills it in."""
    page.run(f"location.hash = 'chat/{chat}'")
    page.press(".foot .do")
    page.press(f".kind-{kind}")
    page.write("input[type=number]", str(shares))
    page.write("input[inputmode=decimal]", total)
    page.write(".sheet .field:nth-of-type(3) input", greeting)
    if password:
        page.write(".sheet .field:nth-of-type(4) input", password)
    page.press(f"label.cover-{cover}")


def sent(page, chat):
    page.press(".sheet .do")
    page.until(f"location.hash === '#chat/{chat}'")


def opened(page, greeting):
    """Opens the packet of this greeting; answers the fen of its share."""
    page.press(".card", greeting)
    page.press(".coin")
    page.until("location.hash.startsWith('#packet/') && document.querySelector('.won-fen strong')")
    return int(page.run("document.querySelector('.won-fen strong').textContent.replace(/[,.]/g, '')"))


def lucky_packet(evening, ann, ben, chat):
    """Ann sends, both open; the packet has appeared on Ben's phone by itself."""
    ben.run("window.mark = 'not reloaded'")
    send(ann, chat, "8.88", 2, "Happy New Year")
    evening.picture(ann, "send")
    sent(ann, chat)
    ann.shows("Happy New Year")
    ben.shows("Happy New Year")
    evening.picture(ben, "chat")
    ben.press(".card", "Happy New Year")
    ben.until("document.querySelector('.coin')")
    evening.picture(ben, "envelope")
    ben.press(".coin")
    ben.until("document.querySelector('.won-fen strong')")
    ben.until("document.querySelector('.standing.arrived')")
    got = int(ben.run("document.querySelector('.won-fen strong').textContent.replace(/[,.]/g, '')"))
    must(ben.run("window.mark") == "not reloaded", "the page was not loaded again")
    own = opened(ann, "Happy New Year")
    must(got + own == 888, f"the shares are the packet: {got} + {own}")
    ann.until("document.querySelector('.standing.arrived') && document.querySelector('.crown')")
    ben.until("document.querySelector('.crown')")
    evening.picture(ben, "packet")
    must((fen(ann), fen(ben)) == (FIRST_FEN - 888 + own, FIRST_FEN + got), "the balances are what was sent and got")
    evening.picture(ben, "wallet")
    evening.seen["sent, appeared, opened, booked"] = True


def refusals(evening, ann, ben, cid, chat):
    """What goes wrong is said in words, and changes nothing."""
    send(ann, chat, "5000", 2, "Too much")
    ann.press(".sheet .do")
    ann.shows("A share is at most ¥200")
    evening.picture(ann, "send-wrong")
    send(ann, chat, "1.00", 1, "Only one", password="year", cover="spring")
    sent(ann, chat)
    ben.run(f"location.hash = 'chat/{chat}'")
    ben.press(".card", "Only one")
    ben.write(".envelope-password", "no idea")
    ben.press(".coin")
    ben.shows("The password is wrong")
    evening.picture(ben, "password-wrong")
    ben.write(".envelope-password", "year")
    ben.press(".coin")
    ben.until("document.querySelector('.standing.arrived')")
    cid.run(f"location.hash = 'chat/{chat}'")
    cid.press(".card", "Only one")
    cid.shows("派完了")
    evening.picture(cid, "sold-out-zh")
    cid.press(".envelope-close")
    evening.seen["refused in words"] = True


def by_keyboard(evening, page, chat):
    """A packet is sent and opened without a pointer."""
    page.run(f"location.hash = 'chat/{chat}'")
    page.until("document.querySelector('.foot .do')")
    page.run("document.getElementById('title').focus()")
    page.tab_to(".foot .do")
    page.key("Enter")
    page.until("document.activeElement.matches('input[inputmode=decimal]')")
    page.call("Input.insertText", text="0.33")
    page.tab_to(".sheet .do")
    page.key("Enter")
    page.until(f"location.hash === '#chat/{chat}'")
    page.run("document.getElementById('title').focus()")
    page.until("[...document.querySelectorAll('.card')].at(-1)?.innerText.includes('恭喜发财')")
    page.run("[...document.querySelectorAll('.card')].at(-1).dataset.newest = ''")
    page.tab_to(".card[data-newest]")
    page.key("Enter")
    page.until("document.activeElement.matches('.coin')")
    evening.picture(page, "envelope-zh")
    page.key("Escape")
    page.until("document.activeElement.matches('.card[data-newest]')")
    page.key("Enter")
    page.until("document.activeElement.matches('.coin')")
    page.key(" ")
    page.until("document.querySelector('.standing.arrived')")
    must(page.run("document.activeElement.id") == "title", "the focus is on the heading of the new view")
    evening.seen["by keyboard alone"] = True


def for_one(evening, ann, ben):
    """From the contacts: a packet to one person, who finds it by itself."""
    ann.run("location.hash = 'contacts'")
    evening.picture(ann, "contacts")
    ann.press("a.row", "Ben")
    ann.write("input[inputmode=decimal]", "6.66")
    ann.write(".sheet .field:nth-of-type(3) input", "For you")
    ann.press("label.cover-night")
    evening.picture(ann, "send-to")
    ann.press(".sheet .do")
    ann.until("location.hash === '#contacts'")
    ben.run("location.hash = 'chats'")
    ben.shows("Packets for me")
    evening.picture(ben, "chats")
    ben.press("a.row", "Packets for me")
    must(opened(ben, "For you") == 666, "a direct packet is one share")
    evening.seen["to one person"] = True


def lists(evening, ann, ben):
    ben.run("location.hash = 'records'")
    ben.until("document.querySelector('.totals')")
    evening.picture(ben, "received")
    ann.run("location.hash = 'records/sent'")
    ann.until("document.querySelector('.totals') && document.querySelector('a[aria-current=true]').innerText === 'Sent'")
    evening.picture(ann, "sent")
    ann.run("location.hash = 'wallet'")
    ann.press("#action", "中文")
    ann.shows("我的钱包")
    must(ann.run("document.documentElement.lang") == "zh-CN", "the page names its language")
    evening.picture(ann, "wallet-zh")
    ann.press("#action", "English")
    ann.shows("Balance")
    evening.seen["lists, both languages"] = True


def money_in_and_out(evening, page):
    """Money is brought in; nothing leaves without the payment password, which is asked for the first time then."""
    before = fen(page)
    page.press("a[href='#top-up']")
    page.write("input[inputmode=decimal]", "5.00")
    evening.picture(page, "top-up")
    page.press(".sheet .do")
    page.until("location.hash === '#wallet'")
    must(fen(page) == before + 500, "the money is in the wallet")
    take_out(page, "135790")
    page.until("location.hash === '#pay-password'")
    evening.picture(page, "pay-password")
    for place in (1, 2):
        page.write(f".sheet .field:nth-of-type({place}) input", "135790")
    page.press(".sheet .do")
    page.until("location.hash === '#take-out'")
    take_out(page, "000000")
    page.shows("The payment password is wrong")
    evening.picture(page, "take-out")
    take_out(page, "135790")
    page.until("location.hash === '#wallet'")
    must(fen(page) == before, "the money has left the wallet")
    evening.seen["topped up, taken out"] = True


def take_out(page, password):
    page.run("location.hash = 'take-out'")
    page.until("document.querySelectorAll('.sheet input').length === 2 && document.querySelector('input[type=password]')")
    page.write("input[inputmode=decimal]", "5.00")
    page.write("input[type=password]", password)
    page.press(".sheet .do")


def send_with_password(evening, page, chat):
    """Who has a payment password is asked for it: wrong, given up, then by keyboard alone."""
    before = fen(page)
    send(page, chat, "0.50", 1, "With a password")
    page.press(".sheet .do")
    page.until("document.activeElement.matches('#secret[open] input')")
    evening.picture(page, "secret")
    page.call("Input.insertText", text="000000")
    page.key("Enter")
    page.shows("The payment password is wrong")
    evening.picture(page, "secret-wrong")
    page.key("Escape")
    page.until("!document.querySelector('#secret').open")
    page.shows("No payment password was given, and nothing was paid")
    must(fen(page) == before, "nothing was paid")
    send(page, chat, "0.50", 1, "With a password")
    page.press(".sheet .do")
    page.until("document.activeElement.matches('#secret[open] input')")
    page.call("Input.insertText", text="135790")
    page.tab_to("#secret .do")
    page.key("Enter")
    page.until(f"location.hash === '#chat/{chat}'")
    must(fen(page) == before - 50, "the packet is paid")
    must(page.run("!JSON.stringify(localStorage).includes('135790')"), "the password is kept nowhere")
    evening.seen["asked for the payment password"] = True


def led_elsewhere(home):
    """Waits until another node than the phones' own leads the ledger: leads go back to where they belong."""
    end = time.monotonic() + 60
    while (leader := ledger_leader()) == home:
        must(time.monotonic() < end, "leads are spread again")
        time.sleep(0.1)
    return leader


def broken_line(evening, ann, ben, chat):
    """A phone is offline while a packet appears: it says so, and shows the packet when it is back."""
    ben.run(f"window.mark = 'same page'; location.hash = 'chat/{chat}'")
    ben.until("document.querySelector('.log')")
    offline = {"latency": 0, "downloadThroughput": -1, "uploadThroughput": -1}
    ben.call("Network.enable")
    ben.call("Network.emulateNetworkConditions", offline=True, **offline)
    ben.until("!document.querySelector('#offline').hidden")
    evening.picture(ben, "offline")
    send(ann, chat, "0.60", 3, "While you were away", cover="gold")
    sent(ann, chat)
    ben.call("Network.emulateNetworkConditions", offline=False, **offline)
    ben.shows("While you were away")
    ben.until("document.querySelector('#offline').hidden")
    must(ben.run("window.mark") == "same page", "the page was not loaded again")
    evening.seen["over a broken line"] = True


def dead_leader(evening, home, people, chat):
    """The ledger's leader hangs while packets are opened, and is killed: waiting, then arrived, without a reload."""
    rounds = 0
    for rounds in range(1, ROUNDS_MAX + 1):
        sender, greeting = people[rounds % len(people)], f"Round {rounds}"
        send(sender, chat, f"{len(people)}.00", len(people), greeting)
        sent(sender, chat)
        for page in people:
            page.run(f"window.said = []; window.mark = 'same page'; location.hash = 'chat/{chat}'")
            page.press(".card", greeting)
            page.until("document.querySelector('.coin')")
        dead = led_elsewhere(home)
        cluster("kill", "ledger-leader", "--signal", "STOP")
        for page in people:
            page.press(".coin")
        for page in people:
            page.until("document.querySelector('.standing')", 60)
            if page.run("document.querySelector('.standing.waiting') !== null"):
                evening.picture(page, "waiting")
        cluster("kill", dead)
        for page in people:
            page.until("document.querySelector('.standing.arrived')", 60)
            must(page.run("window.mark") == "same page", "the page was not loaded again")
        cluster("start", dead)
        said = [page.run("window.said") for page in people]
        if any(words[-2:] == ["waiting", "arrived"] for words in said):
            break
    else:
        raise Failed(f"no share has waited in {ROUNDS_MAX} rounds: {said}")
    evening.seen["waiting, then arrived"] = True


def main():
    if PICTURES:
        PICTURES.mkdir(parents=True, exist_ok=True)
    evening = Evening()
    try:
        # The ledger's first group is the second node's to lead: the phones use the first, which outlives it.
        home, address = min(apps().items())
        ann, ben = evening.enter(address, "Ann"), evening.enter(address, "Ben")
        cid = evening.enter(address, "小陈", "zh-CN")
        must(cid.run("document.documentElement.lang") == "zh-CN", "the browser's language is taken")
        chat = make_chat(evening, ann, ben, "Family")
        cid.press("#action")
        cid.write(".panel:nth-of-type(2) input", chat)
        cid.press(".panel:nth-of-type(2) .do")
        cid.until("document.querySelector('.log')")
        lucky_packet(evening, ann, ben, chat)
        refusals(evening, ann, ben, cid, chat)
        by_keyboard(evening, cid, chat)
        for_one(evening, ann, ben)
        lists(evening, ann, ben)
        broken_line(evening, ann, ben, chat)
        dead_leader(evening, home, [ann, ben, cid], chat)
        money_in_and_out(evening, ann)
        send_with_password(evening, ann, chat)
        complaints = [line for page in (ann, ben, cid) for line in page.complaints()]
        must(not complaints, f"the console is quiet: {complaints}")
        evening.seen["quiet console"] = True
    finally:
        evening.browser.close()
    print(json.dumps(evening.seen))


if __name__ == "__main__":
    try:
        main()
    except Failed as failed:
        sys.exit(f"the phones: {failed}")
