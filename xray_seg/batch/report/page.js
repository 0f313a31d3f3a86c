"use strict";
(() => {
  const SVG = "http://www.w3.org/2000/svg";
  const ORGANS = ["lungs", "heart", "clavicles"]; // as they are painted, the last on top
  const AT_ONCE = 60;
  const films = [...document.querySelectorAll("script.films")].flatMap((each) => JSON.parse(each.textContent));
  const byId = (id) => document.getElementById(id);
  const gallery = byId("gallery"), dialog = byId("film"), more = byId("more");
  let chosen = [], drawn = 0, open = -1;

  const make = (tag, name, text) => {
    const element = document.createElement(tag);
    if (name) element.className = name;
    if (text !== undefined) element.textContent = text; // never as HTML
    return element;
  };

  const picture = (film) => {
    const { size, jpeg, paths } = film.picture;
    const svg = document.createElementNS(SVG, "svg");
    svg.setAttribute("viewBox", `0 0 ${size[0]} ${size[1]}`);
    svg.setAttribute("role", "img");
    svg.setAttribute("aria-label", `${film.name} with its masks`);
    const image = document.createElementNS(SVG, "image");
    image.setAttribute("href", `data:image/jpeg;base64,${jpeg}`);
    image.setAttribute("width", size[0]);
    image.setAttribute("height", size[1]);
    svg.append(image);
    for (const organ of ORGANS) {
      const path = document.createElementNS(SVG, "path");
      path.setAttribute("d", paths[organ]);
      path.setAttribute("class", organ);
      svg.append(path);
    }
    return svg;
  };

  const shortName = (film) => film.name.split(/[\\/]/).pop();

  const card = (film, place) => {
    const button = make("button", "card");
    button.type = "button";
    button.title = film.name;
    button.append(film.picture ? picture(film) : make("span", "none", film.error || "no picture: done by an earlier run"));
    const caption = make("span", "caption");
    const head = make("span", "name");
    if (film.cells.quality !== undefined) head.append(make("span", "score", film.cells.quality.toFixed(2)));
    head.append(shortName(film));
    caption.append(head);
    if (film.doubts.length) caption.append(make("span", "doubts", film.doubts.join("; ")));
    button.append(caption);
    button.addEventListener("click", () => show(place));
    return button;
  };

  const drawMore = () => {
    const next = chosen.slice(drawn, drawn + AT_ONCE);
    gallery.append(...next.map((film, index) => card(film, drawn + index)));
    drawn += next.length;
  };

  const pressed = () => [...document.querySelectorAll(".chip[aria-pressed=true]")];

  const choose = () => {
    const words = byId("find").value.toLowerCase();
    const chips = pressed();
    chosen = films.filter((film) => film.name.toLowerCase().includes(words) && (!chips.length ||
      chips.some(({ dataset }) => dataset.status ? film.status === dataset.status : film.doubts.includes(dataset.doubt))));
    const order = byId("sort").value, sign = order.startsWith("-") ? -1 : 1, key = order.replace(/^-/, "");
    const value = (film) => film[key] ?? film.cells[key] ?? -Infinity;
    chosen.sort((one, other) => {
      const a = value(one), b = value(other);
      return (a < b ? -sign : a > b ? sign : 0) || one.place - other.place;
    });
    gallery.replaceChildren();
    drawn = 0;
    drawMore();
    byId("shown").textContent = `${chosen.length} of ${films.length} films`;
  };

  const words = (name) => {
    const unit = name.match(/_(px|mm|cm2|mean_grey)$/)?.[1];
    const plain = (unit && unit !== "mean_grey" ? name.slice(0, -unit.length - 1) : name).replaceAll("_", " ");
    return unit && unit !== "mean_grey" ? `${plain}, ${unit === "cm2" ? "cm²" : unit}` : plain;
  };

  const show = (place) => {
    if (place < 0 || place >= chosen.length) return;
    open = place;
    while (drawn <= place) drawMore();
    const film = chosen[place];
    byId("film-name").textContent = film.name;
    byId("film-doubts").textContent = [film.error, ...film.doubts].filter(Boolean).join("; ");
    byId("large").replaceChildren(film.picture ? picture(film) : make("p", "", "No picture."));
    byId("cells").replaceChildren(...Object.entries(film.cells).map(([name, cell]) => {
      const row = make("tr");
      const number = typeof cell === "number" && !Number.isInteger(cell) ? +cell.toPrecision(4) : cell;
      row.append(make("th", "", words(name)), make("td", "", String(number)));
      return row;
    }));
    byId("previous").disabled = place === 0;
    byId("next").disabled = place === chosen.length - 1;
    if (!dialog.open) dialog.showModal();
  };

  // The same switches twice, on the page and in the large view: those of the page lead.
  const [boxes, twins] = [...document.querySelectorAll(".organs")].map((each) => [...each.querySelectorAll("input")]);
  const showOrgans = () => {
    boxes.forEach((box, index) => {
      twins[index].checked = box.checked;
      document.body.classList.toggle(`hide-${box.value}`, !box.checked);
    });
  };
  boxes.forEach((box, index) => {
    box.addEventListener("change", showOrgans);
    twins[index].addEventListener("change", () => { box.checked = twins[index].checked; showOrgans(); });
  });

  document.addEventListener("keydown", (event) => {
    if (event.target.matches("input[type=search], select") || event.ctrlKey || event.metaKey || event.altKey) return;
    const organ = boxes[Number(event.key) - 1];
    if (organ) organ.checked = !organ.checked;
    else if (event.key === "0") { const any = boxes.some((box) => box.checked); for (const box of boxes) box.checked = !any; }
    else if (dialog.open && event.key === "ArrowLeft") show(open - 1);
    else if (dialog.open && event.key === "ArrowRight") show(open + 1);
    else return;
    showOrgans();
    event.preventDefault();
  });

  byId("previous").addEventListener("click", () => show(open - 1));
  byId("next").addEventListener("click", () => show(open + 1));
  byId("close").addEventListener("click", () => dialog.close());
  dialog.addEventListener("click", (event) => { if (event.target === dialog) dialog.close(); });
  dialog.addEventListener("close", () => gallery.children[open]?.focus());
  byId("find").addEventListener("input", choose);
  byId("sort").addEventListener("change", choose);
  for (const chip of document.querySelectorAll(".chip")) {
    chip.addEventListener("click", () => { chip.setAttribute("aria-pressed", chip.getAttribute("aria-pressed") === "false"); choose(); });
  }
  byId("theme").addEventListener("click", () => {
    const root = document.documentElement;
    const dark = root.dataset.theme ? root.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
    root.dataset.theme = dark ? "light" : "dark";
  });
  new IntersectionObserver((seen) => { if (seen.some((each) => each.isIntersecting)) drawMore(); }, { rootMargin: "800px" }).observe(more);
  choose();
})();
