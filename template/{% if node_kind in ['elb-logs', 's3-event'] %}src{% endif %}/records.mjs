// The S3 event: which objects to read.

/**
 * Returns the created objects that an S3 event names, with their keys decoded, as
 * `{bucket, key, version}`; `version` is empty where the bucket is not versioned.
 *
 * Other kinds of S3 events (removals, the test event that S3 sends when a notification is set up)
 * name nothing to read. Throws a TypeError when the event is not one of S3's.
 */
export function objectsIn(event) {
  if (event?.Event === "s3:TestEvent") return [];
  if (!Array.isArray(event?.Records)) {
    throw new TypeError(`not an S3 event: no list \`Records\`, only ${Object.keys(event ?? {})}`);
  }
  return event.Records.filter(isCreation).map(object);
}

function isCreation(record) {
  return String(record?.eventName ?? "ObjectCreated:").startsWith("ObjectCreated:");
}

function object(record) {
  try {
    const { key, versionId } = record.s3.object;
    // S3 encodes keys as form data: a blank is a plus sign, everything else percent. What is not
    // UTF-8 would read another object than the one that was meant, and throws.
    const decoded = decodeURIComponent(key.replaceAll("+", " "));
    const bucket = record.s3.bucket.name;
    if (typeof bucket !== "string") throw new TypeError("the bucket has no name");
    return { bucket, key: decoded, version: versionId ?? "" };
  } catch (error) {
    throw new TypeError(`not an S3 record (${error.message}): ${JSON.stringify(record)}`);
  }
}
