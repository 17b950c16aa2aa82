// Search is the one thing that needs a script; without it the field is not there.
const search = document.querySelector("[type=search]");
const rows = [...document.querySelectorAll(".row")];
const texts = rows.map((row) => row.textContent.toLowerCase());
const none = document.querySelector(".nothing");
const find = () => {
  const words = search.value.toLowerCase().split(/\s+/).filter(Boolean);
  rows.forEach((row, at) => { row.hidden = !words.every((word) => texts[at].includes(word)); });
  look();
};
const look = () => { none.hidden = rows.some((row) => row.checkVisibility()); };
search.hidden = false;
search.addEventListener("input", find);
document.addEventListener("change", look);
document.addEventListener("keydown", (event) => {
  if (event.key === "/" && document.activeElement !== search) {
    event.preventDefault();
    search.focus();
  }
});
find();
