// Dialogs over the map: modal, closed by Escape, by their button or by a click beside them.

/**
 * A closed dialog.
 * @param {string} id of the dialog; its heading gets `{id}-title`
 * @param {string} title shown as its heading
 * @param {...Node} content
 */
function buildDialog(id, title, ...content) {
  const close = el("button", { type: "button", class: "tool dialog-close", title: "Close", aria: { label: "Close" } }, icon("M6 6l12 12M18 6 6 18"));
  const heading = el("h2", { id: `${id}-title`, text: title });
  const dialog = el("dialog", { id, class: "dialog", aria: { labelledby: heading.id } },
    el("header", { class: "dialog-head" }, heading, close),
    el("div", { class: "dialog-body" }, ...content),
  );
  close.addEventListener("click", () => dialog.close());
  dialog.addEventListener("click", (event) => {
    if (event.target === dialog) dialog.close();
  });
  byId("map").append(dialog);
  return dialog;
}

const isDialogOpen = () => document.querySelector("dialog[open]") !== null;
