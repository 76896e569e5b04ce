// Only the filters; the page says everything without them.
(() => {
  const controls = document.querySelector(".controls");
  const who = document.getElementById("implementation");
  const only = document.getElementById("attention");
  const apply = () => {
    const name = who.value;
    for (const e of document.querySelectorAll("[data-who]")) {
      e.hidden = name !== "" && !e.dataset.who.split(" ").includes(name);
    }
    for (const row of document.querySelectorAll(".grid tbody tr:not(.group)")) {
      row.hidden = only.checked && !row.querySelector("td.failed:not([hidden]), td.changed:not([hidden])");
    }
    for (const group of document.querySelectorAll(".grid tbody tr.group")) {
      let row = group.nextElementSibling, any = false;
      for (; row && !row.classList.contains("group"); row = row.nextElementSibling) any ||= !row.hidden;
      group.hidden = !any;
    }
  };
  who.addEventListener("change", apply);
  only.addEventListener("change", apply);
  controls.hidden = false;
  apply();
})();
