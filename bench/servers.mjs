/** Starts what is measured, and tells what its processes have used. */
import { execFileSync, spawn } from "node:child_process";
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";

/** Clock ticks of /proc's times per second. */
const TICKS = 100;

const freePort = () =>
  new Promise((resolve) => {
    const server = createServer().listen(0, "127.0.0.1", () => {
      const { port } = server.address();
      server.close(() => resolve(port));
    });
  });

/** A process and all below it. By the system's own lists: going through all processes takes milliseconds of what is measured. */
function familyOf(root) {
  const family = [root];
  for (const pid of family) {
    try {
      for (const thread of readdirSync(`/proc/${pid}/task`)) {
        const children = readFileSync(`/proc/${pid}/task/${thread}/children`, "latin1");
        for (const [child] of children.matchAll(/\d+/g)) family.push(Number(child));
      }
    } catch {
      // Gone between the two reads.
    }
  }
  return family;
}

/** CPU milliseconds of a process and its descendants so far, those that ended among them, and MiB resident at most, all together. */
export function usage(pid) {
  let [ticks, kib] = [0, 0];
  for (const each of familyOf(pid)) {
    try {
      const fields = readFileSync(`/proc/${each}/stat`, "latin1")
        .replace(/^.*\) /s, "")
        .split(" ");
      // Its own, and that of its children that ended.
      ticks += fields.slice(11, 15).reduce((sum, field) => sum + Number(field), 0);
      kib += Number(/VmHWM:\s+(\d+)/.exec(readFileSync(`/proc/${each}/status`, "latin1"))?.[1] ?? 0);
    } catch {
      // Gone between the two reads.
    }
  }
  return { cpuMs: (ticks * 1000) / TICKS, peakMiB: Math.round(kib / 1024) };
}

/**
 * MiB resident now, a process and its descendants together: `rss` counts pages that they share once for each,
 * `pss` once. `pss` is undefined where the system does not tell.
 */
export function memory(pid) {
  const family = familyOf(pid);
  const sum = (file, line) => {
    let kib = 0;
    for (const each of family) {
      try {
        kib += Number(line.exec(readFileSync(`/proc/${each}/${file}`, "latin1"))?.[1] ?? 0);
      } catch {
        // Gone between the two reads.
      }
    }
    return kib === 0 ? undefined : Math.round(kib / 1024);
  };
  return { rss: sum("status", /VmRSS:\s+(\d+)/), pss: sum("smaps_rollup", /^Pss:\s+(\d+)/m) };
}

async function ready(port, child) {
  for (let attempt = 0; attempt < 100; attempt++) {
    // Somebody else may have taken the port.
    if (child.exitCode !== null) throw new Error("the server ended at its start");
    try {
      await fetch(`http://127.0.0.1:${port}/`);
      return;
    } catch {
      await sleep(50);
    }
  }
  throw new Error(`nothing listens on port ${port}`);
}

function stop(child, folder) {
  return new Promise((resolve) => {
    child.once("exit", () => {
      rmSync(folder, { recursive: true, force: true });
      resolve();
    });
    child.kill("SIGTERM");
  });
}

export async function startWindlass(args) {
  const folder = mkdtempSync(join(tmpdir(), "windlass-bench-"));
  const [s3, console_, delivery] = [await freePort(), await freePort(), await freePort()];
  const key = {
    accessKeyId: "WLBENCHACCESSKEY0000",
    secretAccessKey: "bench/secret/0123456789abcdefghijklmnopq",
  };
  const child = spawn(
    process.execPath,
    [
      "dist/main.js",
      "serve",
      "--data",
      folder,
      "--s3",
      `127.0.0.1:${s3}`,
      "--console",
      `127.0.0.1:${console_}`,
      "--delivery",
      `127.0.0.1:${delivery}`,
      ...args,
    ],
    {
      env: {
        ...process.env,
        WINDLASS_ROOT_ACCESS_KEY_ID: key.accessKeyId,
        WINDLASS_ROOT_SECRET_ACCESS_KEY: key.secretAccessKey,
        WINDLASS_BUCKETS: "bench,bench-list",
        WINDLASS_LOG_LEVEL: "warn",
      },
      stdio: ["ignore", "pipe", "inherit"],
    },
  );
  // Printed once all workers listen.
  await new Promise((resolve, reject) => {
    child.stdout.once("data", resolve);
    child.once("exit", () => reject(new Error("Windlass ended at its start")));
  });
  const idle = usage(child.pid).peakMiB;
  return {
    name: "Windlass",
    host: "127.0.0.1",
    port: s3,
    key: { ...key, region: "us-east-1" },
    pid: child.pid,
    deliveryPort: delivery,
    idle,
    /** A command of the command line against this server's data. */
    command: (...words) =>
      execFileSync(process.execPath, ["dist/main.js", ...words, "--data", folder], {
        stdio: ["ignore", "ignore", "inherit"],
      }),
    stop: () => stop(child, folder),
  };
}

/** Static files and WebDAV PUT, which syncs nothing. Undefined where nginx is not installed. */
export async function startNginx() {
  const program = ["/usr/sbin/nginx", "/usr/local/sbin/nginx", "/usr/bin/nginx"].find((path) =>
    existsSync(path),
  );
  if (program === undefined) return undefined;
  const folder = mkdtempSync(join(tmpdir(), "windlass-nginx-"));
  const port = await freePort();
  mkdirSync(join(folder, "root/bench"), { recursive: true });
  mkdirSync(join(folder, "temp"));
  writeFileSync(
    join(folder, "nginx.conf"),
    `${process.getuid() === 0 ? "user root;" : ""} worker_processes 2; daemon off; pid ${folder}/pid; error_log stderr error;
events { worker_connections 1024; }
http {
  access_log off; sendfile on; tcp_nopush on; tcp_nodelay on; keepalive_requests 100000000; keepalive_timeout 600;
  client_max_body_size 0; client_body_temp_path ${folder}/temp; proxy_temp_path ${folder}/temp/p; fastcgi_temp_path ${folder}/temp/f;
  uwsgi_temp_path ${folder}/temp/u; scgi_temp_path ${folder}/temp/s;
  server { listen 127.0.0.1:${port}; root ${folder}/root; dav_methods PUT DELETE; create_full_put_path on; }
}`,
  );
  const child = spawn(program, ["-p", folder, "-c", join(folder, "nginx.conf")], {
    stdio: ["ignore", "ignore", "inherit"],
  });
  await ready(port, child);
  return {
    name: "nginx",
    host: "127.0.0.1",
    port,
    key: undefined,
    pid: child.pid,
    stop: () => stop(child, folder),
  };
}
