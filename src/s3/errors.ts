/** THE catalogue of S3 errors: every code this server can answer, and the one way to write an error document. */
import type { HttpFailure, HttpResponse } from "../lib/http.ts";
import { StoreError } from "../store/errors.ts";

interface ErrorRow {
  readonly status: number;
  readonly message: string;
  /** Prefix of the SOAP fault code; a SOAP fault's own status is always 500. */
  readonly soap: "Client" | "Server";
}

const client = (status: number, message: string): ErrorRow => ({ status, message, soap: "Client" });
const server = (status: number, message: string): ErrorRow => ({ status, message, soap: "Server" });

/**
 * Code → status, message and SOAP prefix. InvalidAddressingHeader and MissingAttachment exist in SOAP only,
 * NotModified has no document; the guide's KeyTooLong is KeyTooLongError today.
 */
export const ERRORS = {
  // The table of the 2009 guide, pages 44 to 50, with its messages.
  AccessDenied: client(403, "Access Denied"),
  AccountProblem: client(
    403,
    "There is a problem with your AWS account that prevents the operation from completing successfully. Please contact customer service at webservices@amazon.com.",
  ),
  AmbiguousGrantByEmailAddress: client(
    400,
    "The e-mail address you provided is associated with more than one account.",
  ),
  BadDigest: client(400, "The Content-MD5 you specified did not match what we received."),
  BucketAlreadyExists: client(
    409,
    "The requested bucket name is not available. The bucket namespace is shared by all users of the system. Please select a different name and try again.",
  ),
  BucketAlreadyOwnedByYou: client(
    409,
    "Your previous request to create the named bucket succeeded and you already own it.",
  ),
  BucketNotEmpty: client(409, "The bucket you tried to delete is not empty."),
  CredentialsNotSupported: client(400, "This request does not support credentials."),
  CrossLocationLoggingProhibited: client(
    403,
    "Cross location logging not allowed. Buckets in one geographic location cannot log information to a bucket in another location.",
  ),
  EntityTooSmall: client(400, "Your proposed upload is smaller than the minimum allowed object size."),
  EntityTooLarge: client(400, "Your proposed upload exceeds the maximum allowed object size."),
  ExpiredToken: client(400, "The provided token has expired."),
  IncompleteBody: client(
    400,
    "You did not provide the number of bytes specified by the Content-Length HTTP header",
  ),
  IncorrectNumberOfFilesInPostRequest: client(400, "POST requires exactly one file upload per request."),
  InlineDataTooLarge: client(400, "Inline data exceeds the maximum allowed size."),
  InternalError: server(500, "We encountered an internal error. Please try again."),
  InvalidAccessKeyId: client(403, "The AWS Access Key Id you provided does not exist in our records."),
  InvalidAddressingHeader: client(500, "You must specify the Anonymous role."),
  InvalidArgument: client(400, "Invalid Argument"),
  InvalidBucketName: client(400, "The specified bucket is not valid."),
  InvalidDigest: client(400, "The Content-MD5 you specified was an invalid."),
  InvalidLocationConstraint: client(400, "The specified location constraint is not valid."),
  InvalidPayer: client(403, "All access to this object has been disabled."),
  InvalidPolicyDocument: client(
    400,
    "The content of the form does not meet the conditions specified in the policy document.",
  ),
  InvalidRange: client(416, "The requested range cannot be satisfied."),
  InvalidSecurity: client(403, "The provided security credentials are not valid."),
  InvalidSOAPRequest: client(400, "The SOAP request body is invalid."),
  InvalidStorageClass: client(400, "The storage class you specified is not valid."),
  InvalidTargetBucketForLogging: client(
    400,
    "The target bucket for logging does not exist, is not owned by you, or does not have the appropriate grants for the log-delivery group.",
  ),
  InvalidToken: client(400, "The provided token is malformed or otherwise invalid."),
  InvalidURI: client(400, "Couldn't parse the specified URI."),
  KeyTooLong: client(400, "Your key is too long."),
  MalformedACLError: client(
    400,
    "The XML you provided was not well-formed or did not validate against our published schema.",
  ),
  MalformedPOSTRequest: client(400, "The body of your POST request is not well-formed multipart/form-data."),
  MalformedXML: client(
    400,
    "The XML you provided was not well-formed or did not validate against our published schema.",
  ),
  MaxMessageLengthExceeded: client(400, "Your request was too big."),
  MaxPostPreDataLengthExceededError: client(
    400,
    "Your POST request fields preceding the upload file were too large.",
  ),
  MetadataTooLarge: client(400, "Your metadata headers exceed the maximum allowed metadata size."),
  MethodNotAllowed: client(405, "The specified method is not allowed against this resource."),
  MissingAttachment: client(500, "A SOAP attachment was expected, but none were found."),
  MissingContentLength: client(411, "You must provide the Content-Length HTTP header."),
  MissingRequestBodyError: client(400, "Request body is empty."),
  MissingSecurityElement: client(400, "The SOAP 1.1 request is missing a security element."),
  MissingSecurityHeader: client(400, "Your request was missing a required header."),
  NoLoggingStatusForKey: client(400, "There is no such thing as a logging status sub-resource for a key."),
  NoSuchBucket: client(404, "The specified bucket does not exist."),
  NoSuchKey: client(404, "The specified key does not exist."),
  NotImplemented: server(501, "A header you provided implies functionality that is not implemented."),
  NotSignedUp: client(
    403,
    "Your account is not signed up for the Amazon S3 service. You must sign up before you can use Amazon S3. You can sign up at the following URL: http://aws.amazon.com/s3",
  ),
  OperationAborted: client(
    409,
    "A conflicting conditional operation is currently in progress against this resource. Please try again.",
  ),
  PermanentRedirect: client(
    301,
    "The bucket you are attempting to access must be addressed using the specified endpoint. Please send all future requests to this endpoint.",
  ),
  PreconditionFailed: client(412, "At least one of the pre-conditions you specified did not hold."),
  Redirect: client(307, "Temporary redirect."),
  RequestIsNotMultiPartContent: client(400, "Bucket POST must be of the enclosure-type multipart/form-data."),
  RequestTimeout: client(
    400,
    "Your socket connection to the server was not read from or written to within the timeout period.",
  ),
  RequestTimeTooSkewed: client(
    403,
    "The difference between the request time and the server's time is too large.",
  ),
  RequestTorrentOfBucketError: client(400, "Requesting the torrent file of a bucket is not permitted."),
  SignatureDoesNotMatch: client(
    403,
    "The request signature we calculated does not match the signature you provided. Check your AWS Secret Access Key and signing method.",
  ),
  SlowDown: server(503, "Please reduce your request rate."),
  TemporaryRedirect: client(307, "You are being redirected to the bucket while DNS updates."),
  TokenRefreshRequired: client(400, "The provided token must be refreshed."),
  TooManyBuckets: client(400, "You have attempted to create more buckets than allowed."),
  UnexpectedContent: client(400, "This request does not support content."),
  UnresolvableGrantByEmailAddress: client(
    400,
    "The e-mail address you provided does not match any account on record.",
  ),
  UserKeyMustBeSpecified: client(
    400,
    "The bucket POST must contain the specified field name. If it is specified, please check the order of the fields.",
  ),
  // Today's codes.
  AccessControlListNotSupported: client(400, "The bucket does not allow ACLs"),
  AccessForbidden: client(403, "CORSResponse: CORS is not enabled for this bucket."),
  AuthorizationHeaderMalformed: client(400, "The authorization header that you provided is not valid."),
  AuthorizationQueryParametersError: client(
    400,
    "The authorization query parameters that you provided are not valid.",
  ),
  BadRequest: client(400, "Bad Request"),
  ConditionalRequestConflict: client(
    409,
    "A conflicting operation occurred during your request. Please try again.",
  ),
  EncryptionTypeMismatchError: client(
    400,
    "The encryption type of the parts does not match that of the upload.",
  ),
  IllegalLocationConstraintException: client(
    400,
    "The specified location constraint is incompatible with the region that this request was sent to.",
  ),
  IllegalVersioningConfigurationException: client(
    400,
    "The versioning configuration specified in the request is invalid.",
  ),
  InsufficientStorage: server(507, "There is not enough space left to carry out this request."),
  InvalidBucketAclWithObjectOwnership: client(
    400,
    "Bucket cannot have ACLs set with ObjectOwnership's BucketOwnerEnforced setting",
  ),
  InvalidBucketState: client(409, "The request is not valid for the current state of the bucket."),
  InvalidChunkSizeError: client(403, "Only the last chunk is allowed to have a size less than 8192 bytes"),
  InvalidEncryptionAlgorithmError: client(400, "The encryption request that you specified is not valid."),
  InvalidHostHeader: client(
    400,
    "The host headers provided in the request used the incorrect style addressing.",
  ),
  InvalidHttpMethod: client(400, "The HTTP method of this request is not valid here."),
  InvalidObjectState: client(403, "The operation is not valid for the current access tier of the object."),
  InvalidPart: client(
    400,
    "One or more of the specified parts could not be found. The part might not have been uploaded, or the specified entity tag might not have matched the part's entity tag.",
  ),
  InvalidPartNumber: client(416, "The requested partnumber is not satisfiable"),
  InvalidPartOrder: client(
    400,
    "The list of parts was not in ascending order. The parts list must be specified in order by part number.",
  ),
  InvalidRequest: client(400, "Invalid Request"),
  InvalidTag: client(400, "The tag provided was not a valid tag."),
  KeyTooLongError: client(400, "Your key is too long"),
  MalformedPolicy: client(400, "The policy you provided does not conform to the policy language."),
  MalformedTrailerError: client(
    400,
    "The request contained trailing data that was not well-formed or did not conform to our published schema.",
  ),
  NoSuchAccessPoint: client(404, "The specified access point does not exist."),
  NoSuchBucketPolicy: client(404, "The bucket policy does not exist"),
  NoSuchConfiguration: client(404, "The specified configuration does not exist."),
  NoSuchCORSConfiguration: client(404, "The CORS configuration does not exist"),
  NoSuchLifecycleConfiguration: client(404, "The lifecycle configuration does not exist"),
  NoSuchObjectLockConfiguration: client(
    404,
    "The specified object does not have an ObjectLock configuration",
  ),
  NoSuchPublicAccessBlockConfiguration: client(404, "The public access block configuration was not found"),
  NoSuchTagSet: client(404, "The TagSet does not exist"),
  NoSuchUpload: client(
    404,
    "The specified upload does not exist. The upload ID may be invalid, or the upload may have been aborted or completed.",
  ),
  NoSuchVersion: client(404, "The specified version does not exist."),
  NoSuchWebsiteConfiguration: client(404, "The specified bucket does not have a website configuration"),
  NotModified: client(304, "Not Modified"),
  ObjectLockConfigurationNotFoundError: client(
    404,
    "Object Lock configuration does not exist for this bucket",
  ),
  OwnershipControlsNotFoundError: client(404, "The bucket ownership controls were not found"),
  ReplicationConfigurationNotFoundError: client(404, "The replication configuration was not found"),
  RequestHeaderSectionTooLarge: client(400, "Your request header section exceeds the maximum allowed size."),
  RestoreAlreadyInProgress: client(409, "Object restore is already in progress."),
  ServerSideEncryptionConfigurationNotFoundError: client(
    404,
    "The server side encryption configuration was not found",
  ),
  ServiceUnavailable: server(503, "Reduce your request rate."),
  UnsupportedArgument: client(400, "The request contained an unsupported argument."),
  UnsupportedSignature: client(400, "The provided request is signed with an unsupported signature version."),
  XAmzContentSHA256Mismatch: client(
    400,
    "The provided 'x-amz-content-sha256' header does not match what was computed.",
  ),
} as const satisfies Record<string, ErrorRow>;

export type S3ErrorCode = keyof typeof ERRORS;

/** The only error that S3 code throws on purpose. `detail` becomes sibling elements of Code in the document. */
export class S3Error extends Error {
  readonly code: S3ErrorCode;
  readonly status: number;
  readonly detail: Readonly<Record<string, string>>;
  /** Further headers of the answer, flat. */
  readonly headers: readonly string[];
  constructor(
    code: S3ErrorCode,
    detail: Record<string, string> = {},
    options: { message?: string | undefined; headers?: string[]; cause?: unknown } = {},
  ) {
    super(options.message ?? ERRORS[code].message, { cause: options.cause });
    this.name = "S3Error";
    this.code = code;
    this.status = ERRORS[code].status;
    this.detail = detail;
    this.headers = options.headers ?? [];
  }
}

/** BodyError of lib/http.ts, told by shape so that a broken body read anywhere ends as its S3 code. */
function isBodyError(error: unknown): error is Error & { code: "IncompleteBody" | "RequestTimeout" } {
  return error instanceof Error && error.name === "BodyError";
}

/** The S3 error that stands for whatever was thrown: InternalError, with the cause, for what is not known here. */
export function toS3Error(error: unknown): S3Error {
  if (error instanceof S3Error) return error;
  if (error instanceof StoreError) {
    const message = error.message === error.code ? undefined : error.message;
    return new S3Error(error.code, { ...error.detail }, { message, cause: error });
  }
  if (isBodyError(error)) return new S3Error(error.code, {}, { cause: error });
  return new S3Error("InternalError", {}, { cause: error });
}

/** What an error document says about the request it answers. */
export interface ErrorContext {
  readonly id: string;
  readonly hostId: string;
  readonly method: string;
  /** The un-decoded path. */
  readonly path: string;
}

/** Escapes text for an element; what XML 1.0 cannot hold at all (most control characters) becomes U+FFFD. */
function escapeText(text: string): string {
  // eslint-disable-next-line no-control-regex
  const clean = text.replace(/[\u0000-\u0008\u000b\u000c\u000e-\u001f\ufffe\uffff]/g, "\ufffd");
  return clean.replace(/[&<>\r]/g, (char) =>
    char === "&" ? "&amp;" : char === "<" ? "&lt;" : char === ">" ? "&gt;" : "&#13;",
  );
}

/** The document: Code, Message, the detail as siblings, Resource, RequestId, HostId; no namespace. */
function errorDocument(error: S3Error, context: ErrorContext): string {
  let details = "";
  for (const [name, value] of Object.entries(error.detail))
    details += `<${name}>${escapeText(value)}</${name}>`;
  return (
    `<?xml version="1.0" encoding="UTF-8"?>\n<Error><Code>${error.code}</Code>` +
    `<Message>${escapeText(error.message)}</Message>${details}<Resource>${escapeText(context.path)}</Resource>` +
    `<RequestId>${context.id}</RequestId><HostId>${context.hostId}</HostId></Error>`
  );
}

/** The whole answer to a failed REST request. HEAD, 304 and other answers without body get headers only. */
export function renderError(error: S3Error, context: ErrorContext): HttpResponse {
  const headers = ["x-amz-request-id", context.id, "x-amz-id-2", context.hostId, ...error.headers];
  const log = { errorCode: error.code };
  if (context.method === "HEAD" || error.status === 304) return { status: error.status, headers, log };
  headers.push("Content-Type", "application/xml");
  return { status: error.status, headers, body: errorDocument(error, context), log };
}

/** S3's code for what the HTTP loop has to answer on its own. */
const FAILURES: Record<HttpFailure, { code: S3ErrorCode; message?: string }> = {
  BadRequest: { code: "BadRequest", message: "An error occurred when parsing the HTTP request." },
  HeadersTooLarge: { code: "RequestHeaderSectionTooLarge" },
  TargetTooLong: { code: "InvalidURI" },
  ExpectationFailed: { code: "InvalidRequest", message: "Only the expectation 100-continue is understood." },
  RequestTimeout: { code: "RequestTimeout" },
  Overloaded: { code: "SlowDown" },
  InternalError: { code: "InternalError" },
};

/** The `onFailure` of an S3 listener. */
export function renderFailure(
  failure: HttpFailure,
  context: ErrorContext,
  compatibility: "modern" | "2006-03-01",
): HttpResponse {
  const { code, message } = FAILURES[failure];
  // The guide's code for what has a code of its own today.
  if (failure === "HeadersTooLarge" && compatibility === "2006-03-01") {
    return renderError(new S3Error("MaxMessageLengthExceeded"), context);
  }
  return renderError(new S3Error(code, {}, { message }), context);
}
