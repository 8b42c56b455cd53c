// What a browser with scripts gets on top of plain forms: a check without
// loading the page again, copy buttons, and a tool token that can be hidden.
"use strict";

(() => {
  const icon = (name, extra) => {
    const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
    svg.setAttribute("class", extra ? `icon ${extra}` : "icon");
    svg.setAttribute("aria-hidden", "true");
    const use = document.createElementNS("http://www.w3.org/2000/svg", "use");
    use.setAttribute("href", `#i-${name}`);
    svg.append(use);
    return svg;
  };

  // Words of our own go in as text; HTML comes only from our own templates.
  const pill = (tone, symbol, text, extra) => {
    const result = document.createElement("div");
    result.className = "result";
    const line = document.createElement("p");
    line.className = `pill pill-${tone}`;
    const words = document.createElement("span");
    words.className = "pill-text";
    words.textContent = text;
    line.append(icon(symbol, extra), words);
    result.append(line);
    return result;
  };

  // The fragment as text; null when the session is over and the page loads again.
  const fragment = async (form, name, limit) => {
    const answer = await fetch(form.action, {
      method: "POST",
      headers: { "X-Fragment": name },
      credentials: "same-origin",
      cache: "no-store",
      signal: AbortSignal.timeout(limit),
    });
    if (answer.status === 401 || answer.redirected) {
      window.location.reload();
      return null;
    }
    if (!answer.ok) {
      throw new Error(`HTTP ${answer.status}`);
    }
    return answer.text();
  };

  const why = (error) => {
    if (error.name === "TimeoutError") return "no answer in time";
    return error.message.startsWith("HTTP ") ? error.message : "no connection";
  };

  const showCopyButtons = (root) => {
    if (!navigator.clipboard) return;
    for (const button of root.querySelectorAll("[data-copy]")) button.hidden = false;
  };

  const flag = (card, field) => {
    for (const row of card.querySelectorAll("[data-row]")) {
      row.classList.toggle("is-flagged", field !== undefined && row.dataset.row === field);
    }
  };

  const verify = async (form) => {
    const slot = document.getElementById(form.dataset.result);
    const card = form.closest("[data-provider]");
    const button = card.querySelector(`button[form="${form.id}"]`);
    if (button.getAttribute("aria-disabled") === "true") return;
    button.setAttribute("aria-disabled", "true");
    slot.replaceChildren(pill("none", "spin", `Checking with ${form.dataset.verify}…`, "spin"));
    flag(card, undefined);
    // "Saved, press Verify" has been done.
    card.querySelector(".said[role=status]")?.remove();
    try {
      const html = await fragment(form, "pill", 45000);
      if (html === null) return;
      slot.innerHTML = html;
      flag(card, slot.firstElementChild?.dataset.about);
    } catch (error) {
      slot.replaceChildren(pill("warn", "alert", `Coachbot could not be asked (${why(error)}). Try again.`));
    } finally {
      button.removeAttribute("aria-disabled");
    }
  };

  const showToken = async (form) => {
    const box = form.closest("[data-token]");
    const button = form.querySelector("button");
    const problem = form.querySelector("[data-token-problem]");
    button.setAttribute("aria-disabled", "true");
    problem.hidden = true;
    try {
      const html = await fragment(form, "tool-token", 20000);
      if (html === null) return;
      const holder = document.createElement("div");
      holder.innerHTML = html;
      const shown = holder.firstElementChild;
      showCopyButtons(shown);
      box.replaceWith(shown);
      const hide = shown.querySelector("[data-token-hide]");
      if (hide === null) return;
      hide.setAttribute("role", "button");
      hide.addEventListener("click", (event) => {
        event.preventDefault();
        shown.replaceWith(box);
        button.focus();
      });
      hide.addEventListener("keydown", (event) => {
        if (event.key === " ") {
          event.preventDefault();
          hide.click();
        }
      });
      hide.focus();
    } catch (error) {
      problem.textContent = `The token could not be shown (${why(error)}). Try again.`;
      problem.hidden = false;
    } finally {
      button.removeAttribute("aria-disabled");
    }
  };

  const copy = async (button) => {
    const words = button.querySelector("[data-copy-text]");
    const source = document.getElementById(button.dataset.copy);
    try {
      await navigator.clipboard.writeText(source.textContent);
      words.textContent = "Copied";
    } catch {
      window.getSelection().selectAllChildren(source);
      words.textContent = "Press Ctrl+C";
    }
    window.setTimeout(() => {
      words.textContent = "Copy";
    }, 2000);
  };

  document.addEventListener("submit", (event) => {
    const form = event.target;
    if (form.matches("[data-verify]")) {
      event.preventDefault();
      verify(form);
    } else if (form.matches("[data-token-form]")) {
      event.preventDefault();
      showToken(form);
    }
  });

  document.addEventListener("click", (event) => {
    const button = event.target.closest("[data-copy]");
    if (button) copy(button);
  });

  document.addEventListener("input", (event) => {
    const card = event.target.closest("[data-provider]");
    const note = card?.querySelector("[data-unsaved]");
    if (note) note.hidden = false;
  });

  showCopyButtons(document);
  document.querySelector("[data-error-summary]")?.focus();

  // "Saved" is said once, not again at each reload.
  if (/[?&](saved|removed|signed-out)\b/.test(window.location.search)) {
    window.history.replaceState(null, "", window.location.pathname + window.location.hash);
  }
})();
