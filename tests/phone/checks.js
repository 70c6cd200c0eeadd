// What a page must have for people who do not see it, or see it badly: run inside the page, answers a list of faults.
// Must never: pass over what it cannot judge without saying so.
(() => {
  const faults = [];
  const root = document.querySelector("dialog[open]") ?? document.body;
  const seen = (node) => node.checkVisibility({ opacityProperty: true, visibilityProperty: true });
  const where = (node) => `${node.tagName.toLowerCase()}${node.id ? `#${node.id}` : ""}.${node.className?.baseVal ?? node.className}`;

  const named = (node) => node.getAttribute("aria-label") || node.labels?.[0]?.innerText || node.innerText || node.title;
  const controls = [...root.querySelectorAll("button, a[href], input, select, textarea, [tabindex='0']")].filter(seen);
  for (const node of controls) {
    if (!named(node)?.trim()) faults.push(`${where(node)} has no name`);
    const box = (node.closest("label") ?? node).getBoundingClientRect();
    if (box.height < 24 || box.width < 24) faults.push(`${where(node)} is too small to press: ${box.width} x ${box.height}`);
  }
  for (const node of root.querySelectorAll("svg, .avatar")) {
    if (node.getAttribute("aria-hidden") !== "true") faults.push(`${where(node)} is decoration and not hidden`);
  }
  const ids = [...document.querySelectorAll("[id]")].map((node) => node.id);
  for (const id of new Set(ids.filter((id, at) => ids.indexOf(id) !== at))) faults.push(`the id ${id} is there twice`);
  for (const node of document.querySelectorAll("[aria-labelledby]")) {
    if (seen(node) && !document.getElementById(node.getAttribute("aria-labelledby"))) faults.push(`${where(node)} is labelled by nothing`);
  }
  if (!document.documentElement.lang) faults.push("the page names no language");
  if (document.querySelectorAll("h1").length !== 1) faults.push("the page has not one h1");
  if (!document.querySelector("main")) faults.push("the page has no main");
  if (!document.querySelector("[role=status]")) faults.push("the page has no status");
  if (document.documentElement.scrollWidth > innerWidth) faults.push("the page is wider than the phone");

  const parts = (colour) => (colour.match(/[\d.]+/g) ?? []).map(Number);
  const light = (colour) => {
    const [red, green, blue] = colour.map((part) => (part / 255 <= 0.03928 ? part / 255 / 12.92 : ((part / 255 + 0.055) / 1.055) ** 2.4));
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
  };
  const contrast = (one, other) => {
    const [dark, bright] = [light(one), light(other)].sort((a, b) => a - b);
    return (bright + 0.05) / (dark + 0.05);
  };
  // Every colour that may stand behind a node: its own, or those of a gradient, of the nearest that paints all.
  const behind = (node) => {
    for (let at = node; at; at = at.parentElement) {
      const style = getComputedStyle(at);
      const last = style.backgroundImage.split(/,\s*(?=linear-gradient)/).at(-1);
      if (last.startsWith("linear-gradient")) return last.match(/rgba?\([^)]*\)/g).map(parts).filter((colour) => (colour[3] ?? 1) === 1);
      const plain = parts(style.backgroundColor);
      if ((plain[3] ?? 1) === 1) return [plain.slice(0, 3)];
    }
    return [[255, 255, 255]];
  };
  const words = document.createTreeWalker(root, NodeFilter.SHOW_TEXT);
  while (words.nextNode()) {
    const node = words.currentNode.parentElement;
    const text = words.currentNode.data.trim();
    if (!text || !seen(node) || node.closest("[aria-hidden=true], script, noscript, :disabled")) continue;
    const style = getComputedStyle(node);
    const size = Number.parseFloat(style.fontSize);
    const least = size >= 24 || (size >= 18.66 && Number(style.fontWeight) >= 700) ? 3 : 4.5;
    const worst = Math.min(...behind(node).map((colour) => contrast(parts(style.color).slice(0, 3), colour.slice(0, 3))));
    if (worst < least) faults.push(`"${text.slice(0, 30)}" (${where(node)}) has a contrast of ${worst.toFixed(2)}, at least ${least}`);
  }
  return [...new Set(faults)];
})();
