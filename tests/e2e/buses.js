// Session buses on which the keychain is missing, locked or silent.
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { run, until } from "./app.js";

async function end(child) {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const ended = once(child, "exit");
  child.kill("SIGCONT");
  child.kill("SIGKILL");
  await ended;
}

/** A bus of its own that starts nothing by itself, so that no Secret Service appears on it. */
export async function bareBus(folder) {
  const config = join(folder, "bus.conf");
  await writeFile(
    config,
    `<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN" "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig>
  <type>session</type>
  <listen>unix:tmpdir=${folder}</listen>
  <auth>EXTERNAL</auth>
  <policy context="default">
    <allow send_destination="*" eavesdrop="true"/>
    <allow eavesdrop="true"/>
    <allow own="*"/>
  </policy>
</busconfig>
`,
  );
  const child = spawn("dbus-daemon", [`--config-file=${config}`, "--nofork", "--print-address"], { stdio: ["ignore", "pipe", "ignore"] });
  const [address] = await once(createInterface({ input: child.stdout }), "line");
  return { env: { DBUS_SESSION_BUS_ADDRESS: address }, stop: () => end(child) };
}

/** An unlocked keyring on a bare bus; it can be locked, with nobody there to unlock it, or silenced. */
export async function keyringBus(folder) {
  const bus = await bareBus(folder);
  const home = join(folder, "keyring-home");
  await mkdir(join(home, "run"), { recursive: true, mode: 0o700 });
  const env = { ...bus.env, HOME: home, XDG_RUNTIME_DIR: join(home, "run"), DISPLAY: "" };
  const daemon = spawn("gnome-keyring-daemon", ["--foreground", "--unlock", "--components=secrets"], {
    env: { ...process.env, ...env },
    stdio: ["pipe", "ignore", "ignore"],
  });
  // A daemon that ends at once is told by what follows.
  daemon.stdin.on("error", () => undefined);
  daemon.stdin.end("throwaway");
  const call = (path, method, ...args) => run("dbus-send", ["--session", "--print-reply", "--dest=org.freedesktop.secrets", path, method, ...args], env);
  const collection = "/org/freedesktop/secrets/collection/login";
  await until("the keyring answers", () => call(collection, "org.freedesktop.DBus.Properties.Get", "string:org.freedesktop.Secret.Collection", "string:Locked"));
  return {
    env: bus.env,
    lock: async () => {
      await call("/org/freedesktop/secrets", "org.freedesktop.Secret.Service.Lock", `array:objpath:${collection}`);
      await until("the keyring is locked", async () =>
        (await call(collection, "org.freedesktop.DBus.Properties.Get", "string:org.freedesktop.Secret.Collection", "string:Locked")).includes("true"),
      );
    },
    silence: () => daemon.kill("SIGSTOP"),
    stop: async () => {
      await end(daemon);
      await bus.stop();
    },
  };
}
