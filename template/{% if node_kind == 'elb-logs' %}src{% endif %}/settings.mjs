// The settings, from the function's environment variables.

const REQUIRED = [
  "LOGSTASH_HOST",
  "LOGSTASH_PORT",
  "LOG_ENVIRONMENT",
  "LOG_APPLICATION",
  "LOG_COMPONENT",
];
const LAST_PORT = 65_535;

/** An environment variable is missing or wrong; the message names it. */
export class SettingsError extends Error {
  name = "SettingsError";
}

/**
 * Returns where the lines go and what is written beside each of them. Timeouts are in seconds.
 *
 * Throws a SettingsError, which names all variables that are missing.
 */
export function settingsFrom(variables) {
  const missing = REQUIRED.filter((name) => !variables[name]);
  if (missing.length) {
    throw new SettingsError(`missing environment variables: ${missing.join(", ")}`);
  }
  const value = (name, otherwise) => [name, variables[name] || otherwise];
  return Object.freeze({
    host: variables.LOGSTASH_HOST,
    port: port(...value("LOGSTASH_PORT")),
    tls: isOn(...value("LOGSTASH_TLS", "off")),
    caFile: variables.LOGSTASH_CA_FILE || null,
    connectTimeout: seconds(...value("LOGSTASH_CONNECT_TIMEOUT", "5")),
    writeTimeout: seconds(...value("LOGSTASH_WRITE_TIMEOUT", "20")),
    environment: variables.LOG_ENVIRONMENT,
    application: variables.LOG_APPLICATION,
    component: variables.LOG_COMPONENT,
    sourceModule: variables.LOG_SOURCE_MODULE || "ELB",
    type: variables.LOG_TYPE || "logs",
  });
}

function port(name, text) {
  const number = /^\d+$/.test(text) ? Number(text) : 0;
  if (number < 1 || number > LAST_PORT) {
    throw new SettingsError(`${name} is '${text}', not a port (1 to ${LAST_PORT})`);
  }
  return number;
}

function isOn(name, text) {
  if (!/^(on|off)$/i.test(text)) {
    throw new SettingsError(`${name} is '${text}', neither \`on\` nor \`off\``);
  }
  return text.toLowerCase() === "on";
}

function seconds(name, text) {
  const number = Number(text);
  if (!(number > 0 && number < Infinity)) {
    throw new SettingsError(`${name} is '${text}', not a number of seconds above 0`);
  }
  return number;
}
