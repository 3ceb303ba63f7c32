// The search of the site: pages whose title or words have all that is typed, titles first. The index is site's own.

const field = document.getElementById("search"), found = document.getElementById("found");
let index = null;

async function pages() {
  index ??= (await fetch(new URL("search.json", import.meta.url))).json();
  return index;
}

async function show() {
  const words = field.value.toLowerCase().split(/\s+/).filter(Boolean);
  if (!words.length) return found.replaceChildren();
  const rank = ({ title, text }) => (words.every((word) => title.toLowerCase().includes(word)) ? 2 : words.every((word) => text.toLowerCase().includes(word)) ? 1 : 0);
  const best = (await pages()).map((page) => ({ page, rank: rank(page) })).filter((each) => each.rank).sort((one, other) => other.rank - one.rank).slice(0, 8);
  found.replaceChildren(...best.map(({ page }) => {
    const item = document.createElement("li"), link = document.createElement("a");
    Object.assign(link, { href: page.url, textContent: page.title });
    item.append(link);
    return item;
  }));
  if (!best.length) found.textContent = "Nothing has these words.";
}

field.addEventListener("input", show);
field.form.addEventListener("submit", (event) => {
  event.preventDefault();
  found.querySelector("a")?.click();
});
