// Forms that ask before their changes are lost: <form data-guard>. And the way back.

export function leaving(): void {
  const changed = new WeakSet<HTMLFormElement>();
  document.addEventListener("input", (input) => {
    const form = (input.target as Element).closest<HTMLFormElement>("form[data-guard]");
    if (form) changed.add(form);
  });
  document.addEventListener("submit", (submit) => {
    const button = submit.submitter as HTMLButtonElement | null;
    if (button?.name !== "edit") changed.delete(submit.target as HTMLFormElement);
  });
  document.addEventListener("click", (click) => {
    if ((click.target as Element).closest("[data-back]")) history.back();
  });
  addEventListener("beforeunload", (unload) => {
    const forms = document.querySelectorAll<HTMLFormElement>("form[data-guard]");
    if ([...forms].some((form) => changed.has(form))) unload.preventDefault();
  });
}
