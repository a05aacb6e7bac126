// Nice to have only. Every page works without this file: the buttons are real forms, the data is in the HTML.
(() => {
  const root = document.documentElement;
  // Light or dark at once; the same form, sent in the background, keeps the choice in a cookie.
  const theme = document.querySelector('form[data-theme-form]');
  theme?.addEventListener('submit', (event) => {
    event.preventDefault();
    const dark = root.dataset.theme ? root.dataset.theme === 'dark' : matchMedia('(prefers-color-scheme: dark)').matches;
    root.dataset.theme = dark ? 'light' : 'dark';
    const form = new FormData(theme);
    form.set('theme', root.dataset.theme);
    fetch(theme.action, { method: 'POST', body: form, redirect: 'manual' }).catch(() => {});
  });
  // What was pressed is sent once: the button rests until the answer is here, or the page is come back to.
  document.addEventListener('submit', (event) => {
    const button = event.submitter;
    if (!button || event.defaultPrevented || event.target.method !== 'post') return;
    setTimeout(() => { button.disabled = true; button.setAttribute('aria-busy', 'true'); }); // after its value is taken along
    window.addEventListener('pageshow', () => { button.disabled = false; button.removeAttribute('aria-busy'); }, { once: true });
  });
  // A file that is too large is told of before it is sent.
  document.querySelectorAll('input[type=file][data-most]').forEach((field) => field.addEventListener('change', () => {
    const over = [...field.files].some((file) => file.size > field.dataset.most);
    field.setCustomValidity(over ? field.dataset.over : '');
    if (over) field.reportValidity();
  }));
  // Live pages: fetch the same page and swap <main>; never while the focus is inside, a field is filled in or something is folded
  // otherwise than it came.
  const main = document.querySelector('main[data-live]'), note = document.querySelector('[data-live-note]');
  if (!main || !note) return;
  let on = true;
  const button = document.createElement('button');
  button.type = 'button';
  const say = () => { button.textContent = on ? 'Pause updates' : 'Go on updating'; };
  button.addEventListener('click', () => { on = !on; say(); });
  const folds = () => [...main.querySelectorAll('details')];
  const asSent = () => folds().forEach((one) => { one.dataset.sent = one.open; });
  const isOpened = () => folds().some((one) => String(one.open) !== one.dataset.sent);
  const isTouched = (field) => field.tagName === 'SELECT'
    ? field.selectedIndex !== Math.max(0, [...field.options].findIndex((one) => one.defaultSelected))
    : field.checked !== field.defaultChecked || (field.type !== 'hidden' && field.value !== field.defaultValue);
  const isFilledIn = () => [...main.querySelectorAll('input, select, textarea')].some(isTouched);
  asSent(); say(); note.after(button);
  let asOf = note.textContent;
  const again = () => setTimeout(update, main.dataset.live * 1000);
  const isBusy = () => !on || isOpened() || isFilledIn() || document.hidden || main.contains(document.activeElement);
  const update = async () => {
    if (isBusy()) return again();
    try {
      const answer = await fetch(location.href, { headers: { Accept: 'text/html' } });
      if (answer.redirected) throw new Error('you are signed out; reload the page to sign in');
      if (!answer.ok) throw new Error('the server cannot answer just now');
      const page = new DOMParser().parseFromString(await answer.text(), 'text/html');
      const fresh = page.querySelector('main');
      if (isBusy()) return again(); // somebody began while it was fetched
      const told = ':scope > .note[role=status]', said = fresh.querySelector(told) ? null : main.querySelector(told);
      main.replaceChildren(...(said ? [said] : []), ...fresh.childNodes); // what was said on top stays: nothing jumps
      asSent();
      document.title = page.title;
      document.querySelector('.nav')?.replaceWith(page.querySelector('.nav'));
      note.textContent = asOf = page.querySelector('.foot span').textContent;
      if (!fresh.dataset.live) return button.remove(); // it has come to its end: nothing changes any more
      main.dataset.live = fresh.dataset.live;
    } catch (error) {
      const why = error instanceof TypeError ? 'the server does not answer' : error.message; // what fetch throws without an answer
      note.textContent = `Not updated: ${why}. ${asOf}`;
    }
    again();
  };
  again();
})();
