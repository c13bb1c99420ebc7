/**
 * Whether the server can be reached. `navigator.onLine` alone won't do: it stays true when only the server
 * is down, so requests that got no answer count too.
 */
class Connection {
  online = $state(navigator.onLine);

  report(reachable: boolean): void {
    this.online = reachable && navigator.onLine;
  }
}

export const connection = new Connection();

export function watchConnection(onBack: () => void): void {
  addEventListener("offline", () => connection.report(false));
  addEventListener("online", () => {
    connection.report(true);
    onBack();
  });
}
