/**
 * What one process counts. Recording costs one map look-up and a few additions; names and labels appear when somebody
 * asks, in prom-client's JSON shape, so that the families of several processes can be added up.
 */
import { readdirSync } from "node:fs";
import { performance } from "node:perf_hooks";

/** One measured value; `metricName` where it differs from the family's (buckets of a histogram). */
interface Sample {
  value: number;
  labels: Record<string, string>;
  metricName?: string;
}

/** One metric as prom-client's registries give and add them. */
export interface Family {
  name: string;
  help: string;
  type: "counter" | "gauge" | "histogram";
  /** How several processes' values become one. */
  aggregator: "sum" | "max";
  values: Sample[];
}

/** One request as it ended. */
export interface Finished {
  /** Of the listener: s3, delivery or console. */
  service: string;
  /** Name from a table of ours, never text of the client's, or anyone could fill the memory with labels. */
  operation: string;
  status: number;
  seconds: number;
  receivedBytes: number;
  sentBytes: number;
}

/** Upper bounds in seconds: from a cached small read to a large upload. */
const SECONDS_BOUNDS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300];

interface Cell {
  service: string;
  operation: string;
  /** By the status's first digit. */
  byClass: number[];
  /** One more than the bounds: the last is for all above them. */
  bySeconds: number[];
  seconds: number;
  receivedBytes: number;
  sentBytes: number;
}

export class Measures {
  readonly #cells = new Map<string, Cell>();

  record(finished: Finished): void {
    const { service, operation, status, seconds, receivedBytes, sentBytes } = finished;
    const name = `${service} ${operation}`;
    let cell = this.#cells.get(name);
    if (cell === undefined) {
      const bySeconds = Array.from({ length: SECONDS_BOUNDS.length + 1 }, () => 0);
      cell = {
        service,
        operation,
        byClass: [0, 0, 0, 0, 0, 0],
        bySeconds,
        seconds: 0,
        receivedBytes: 0,
        sentBytes: 0,
      };
      this.#cells.set(name, cell);
    }
    const statusClass = Math.min(5, Math.trunc(status / 100));
    cell.byClass[statusClass] = cell.byClass[statusClass]! + 1;
    let slot = 0;
    while (slot < SECONDS_BOUNDS.length && seconds > SECONDS_BOUNDS[slot]!) slot++;
    cell.bySeconds[slot] = cell.bySeconds[slot]! + 1;
    cell.seconds += seconds;
    cell.receivedBytes += receivedBytes;
    cell.sentBytes += sentBytes;
  }

  families(): Family[] {
    const requests = family(
      "windlass_requests_total",
      "counter",
      "Requests answered, by operation and class of status.",
    );
    const durations = family(
      "windlass_request_seconds",
      "histogram",
      "From the end of the head to the end of the answer.",
    );
    const received = family("windlass_received_bytes_total", "counter", "Bytes of request bodies.");
    const sent = family("windlass_sent_bytes_total", "counter", "Bytes of answers' bodies.");
    for (const cell of this.#cells.values()) {
      const labels = { service: cell.service, operation: cell.operation };
      for (const [digit, value] of cell.byClass.entries()) {
        // Class 0 holds connections that ended without an answer.
        if (value > 0)
          requests.values.push({ value, labels: { ...labels, status: digit === 0 ? "none" : `${digit}xx` } });
      }
      addHistogram(durations, cell, labels);
      received.values.push({ value: cell.receivedBytes, labels });
      sent.values.push({ value: cell.sentBytes, labels });
    }
    return [requests, durations, received, sent];
  }
}

export function family(name: string, type: Family["type"], help: string): Family {
  return { name, help, type, aggregator: "sum", values: [] };
}

function addHistogram({ name, values }: Family, cell: Cell, labels: Record<string, string>): void {
  let sum = 0;
  for (const [slot, count] of cell.bySeconds.entries()) {
    sum += count;
    const le = slot < SECONDS_BOUNDS.length ? String(SECONDS_BOUNDS[slot]) : "+Inf";
    values.push({ value: sum, labels: { ...labels, le }, metricName: `${name}_bucket` });
  }
  values.push({ value: cell.seconds, labels, metricName: `${name}_sum` });
  values.push({ value: sum, labels, metricName: `${name}_count` });
}

function openFiles(): number | undefined {
  try {
    return readdirSync("/proc/self/fd").length;
  } catch {
    return undefined; // Not Linux.
  }
}

/** The process itself, under prom-client's own names, with a label that tells our processes apart. */
export function processFamilies(process_: string): Family[] {
  const labels = { process: process_ };
  const one = (name: string, type: Family["type"], help: string, value: number | undefined): Family[] =>
    value === undefined ? [] : [{ ...family(name, type, help), values: [{ value, labels }] }];
  const cpu = process.cpuUsage();
  const memory = process.memoryUsage();
  return [
    ...one(
      "process_cpu_seconds_total",
      "counter",
      "CPU time, user and system.",
      (cpu.user + cpu.system) / 1e6,
    ),
    ...one("process_resident_memory_bytes", "gauge", "Resident memory.", memory.rss),
    ...one(
      "process_start_time_seconds",
      "gauge",
      "Start, in seconds since 1970.",
      performance.timeOrigin / 1000,
    ),
    ...one("process_open_fds", "gauge", "Open file descriptors.", openFiles()),
    ...one("nodejs_heap_size_used_bytes", "gauge", "JavaScript heap in use.", memory.heapUsed),
    ...one(
      "nodejs_external_memory_bytes",
      "gauge",
      "Memory of buffers and other native objects.",
      memory.external,
    ),
    ...one(
      "nodejs_eventloop_utilization",
      "gauge",
      "Share of the time since the start that the event loop was busy.",
      performance.eventLoopUtilization().utilization,
    ),
  ];
}
