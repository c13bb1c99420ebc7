/** What a screen reader should say besides what has the focus; `App` holds the live region. */
class Announcer {
  message = $state("");

  say(message: string): void {
    // The same words twice would not be read twice: a changed text is, if only by a space.
    this.message = message === this.message ? `${message}\u00a0` : message;
  }
}

export const announcer = new Announcer();
