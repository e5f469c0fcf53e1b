// A responder for measuring what S3 and STS clients themselves cost: one thread, epoll, answers from memory.
//
//     cc -O2 -o responder responder.c && ./responder PORT KEYS BODYBYTES [ETAG [CRC64NVME [remember]]]
//
// It listens on 127.0.0.1 and speaks path-style S3. A bucket holds KEYS virtual CloudTrail keys, in order; one with
// "dst" in its name lists as empty. GET of any key answers BODYBYTES canned bytes, or the Range asked for; byte i is
// (7 * i + 13) modulo 256. PUT, CopyObject and multipart uploads are accepted, ListObjectsV2 knows prefix, delimiter,
// start-after, continuation-token and max-keys, POST answers AssumeRole and GetCallerIdentity, and GET /__stats prints
// how many requests of each kind were answered since it was last asked.
//
// With `remember` a bucket with "dst" in its name has the virtual keys that were put there. If-None-Match is kept then,
// and __stats also tells how many objects there are, were refused with 412, put without the condition or overwritten.
//
// It stores no bodies, checks no signature, has one fixed Date, knows neither suffix ranges nor chunked transfer
// encoding, and hangs up on a request head above 64 KiB. ETAG should be the MD5 of the canned body: clients check it.
// CRC64NVME is its checksum in base64, which S3 has of every object: it is told to those who ask for checksums.
//
// Large bodies are not copied: canned ones are written from one small block, which stays in the processor's cache, and
// a request body that does not fit the input buffer is dropped inside the kernel.
#define _GNU_SOURCE
#include <err.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

enum { IN_ROOM = 64 << 10, DISCARD = 1 << 20, HEAD = 1024, VALUE = 1024, EVENTS = 256 };
enum { PERIOD = 256, BLOCK = 256 << 10 };  // of the canned body, which repeats itself
enum { KEYS_PER_DAY = 2000, LIST_MAX = 1000, KEY = 256, ENTRY = 512, ETAG_MAX = 64 };
enum state { READING, WRITING, GONE };

struct request {
    size_t head;    // bytes up to and with the empty line; 0 until it has come
    size_t kept;    // bytes of the body that stay in the input buffer: all or none
    size_t unread;  // bytes of a body too large for the buffer, still to be dropped
    bool copies, is_conditional;
    bool checks;  // asks for the checksum
    long first, last;                  // the Range, -1 where not given
    const char *bucket, *key, *query;  // "" where not given
};

struct connection {
    int fd;
    enum state state;  // what epoll waits for
    char *in;
    size_t in_length;
    struct request request;
    char head[HEAD];  // the answer is this and then the body, of which together `sent` bytes have gone
    const char *body;  // NULL for the canned body, from `canned_from` on
    size_t head_length, body_length, canned_from, sent;
    char *owned;  // freed once the answer has been sent
};

#define XML "<?xml version=\"1.0\"?>"
#define XML_UTF8 "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"
#define S3 " xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\""
#define STS " xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\""
#define XML_TYPE "Content-Type: application/xml\r\n"
#define STS_TYPE "Content-Type: text/xml\r\n"

static const char LOCATION[] = XML "<LocationConstraint" S3 "></LocationConstraint>";
static const char VERSIONING[] = XML "<VersioningConfiguration" S3 "/>";
static const char BUCKETS[] =
    XML "<ListAllMyBucketsResult" S3 "><Owner><ID>x</ID></Owner><Buckets><Bucket><Name>src</Name>"
    "<CreationDate>2026-01-01T00:00:00.000Z</CreationDate></Bucket><Bucket><Name>dst</Name>"
    "<CreationDate>2026-01-01T00:00:00.000Z</CreationDate></Bucket></Buckets></ListAllMyBucketsResult>";
static const char BEGUN[] = "<InitiateMultipartUploadResult><UploadId>u</UploadId></InitiateMultipartUploadResult>";
static const char COMPLETED[] = "<CompleteMultipartUploadResult><ETag>x</ETag></CompleteMultipartUploadResult>";
static const char REFUSED[] = XML "<Error><Code>PreconditionFailed</Code><Message>it exists</Message></Error>";
static const char CALLER[] =
    "<GetCallerIdentityResponse" STS "><GetCallerIdentityResult><Arn>arn:aws:iam::222222222222:user/syncd</Arn>"
    "<UserId>AIDAX</UserId><Account>222222222222</Account></GetCallerIdentityResult></GetCallerIdentityResponse>";
static const char ROLE[] =
    "<AssumeRoleResponse" STS "><AssumeRoleResult><Credentials><AccessKeyId>ASIAX</AccessKeyId>"
    "<SecretAccessKey>s</SecretAccessKey><SessionToken>t</SessionToken><Expiration>2030-01-01T00:00:00Z</Expiration>"
    "</Credentials><AssumedRoleUser><AssumedRoleId>A:b</AssumedRoleId><Arn>"
    "arn:aws:sts::111122223333:assumed-role/Test/b</Arn></AssumedRoleUser></AssumeRoleResult></AssumeRoleResponse>";
static const char COPIED[] =
    XML_UTF8 "<CopyObjectResult" S3 "><LastModified>2026-11-24T00:00:00.000Z</LastModified>"
    "<ETag>&quot;%s&quot;</ETag></CopyObjectResult>";
static const char LISTING[] =
    XML_UTF8 "<ListBucketResult" S3 "><Name>%s</Name><Prefix>%s</Prefix><KeyCount>%d</KeyCount>"
    "<MaxKeys>1000</MaxKeys><IsTruncated>%s</IsTruncated>%s%s</ListBucketResult>";
static const char TOKEN[] = "<NextContinuationToken>%ld</NextContinuationToken>";
static const char COMMON_PREFIX[] = "<CommonPrefixes><Prefix>%s</Prefix></CommonPrefixes>";
static const char CONTENTS[] =
    "<Contents><Key>%s</Key><LastModified>2026-11-01T00:00:00.000Z</LastModified>"
    "<ETag>&quot;%s&quot;</ETag><Size>%ld</Size><StorageClass>STANDARD</StorageClass></Contents>";
static const char KEY_NAME[] =
    "AWSLogs/111122223333/CloudTrail/us-east-1/2026/%02ld/%02ld/"
    "111122223333_CloudTrail_us-east-1_2026%02ld%02ldT%02ld%02ldZ_%010ldabcdef.json.gz";
static const char STATS[] = "{\"list\":%ld,\"get\":%ld,\"put\":%ld,\"copy\":%ld,\"head\":%ld,\"other\":%ld,"
    "\"refused\":%ld,\"unconditional\":%ld,\"overwritten\":%ld,\"there\":%ld}\n";
static const char ANSWER_HEAD[] =
    "HTTP/1.1 %s\r\nServer: stub\r\nx-amz-request-id: 0\r\nDate: Tue, 24 Nov 2026 00:00:00 GMT\r\n"
    "%sContent-Length: %zu\r\n\r\n";
static const char OBJECT_HEADERS[] =
    "Content-Type: application/x-gzip\r\nETag: \"%s\"\r\nLast-Modified: Sun, 01 Nov 2026 00:00:00 GMT\r\n"
    "Accept-Ranges: bytes\r\n";
static const char OBJECT_HEAD[] = "HTTP/1.1 200 OK\r\n%sContent-Length: %ld\r\n\r\n";
static const char CHECKSUM[] = "%sx-amz-checksum-crc64nvme: %s\r\nx-amz-checksum-type: FULL_OBJECT\r\n";
static const char PARTIAL_HEADERS[] = "%sContent-Range: bytes %ld-%ld/%ld\r\n";

static long keys, body_bytes;
static const char *etag = "d41d8cd98f00b204e9800998ecf8427e";
static struct { long list, get, put, copy, head, other, refused, unconditional, overwritten; } counts;
static bool *there;  // of each key, whether it was put; NULL where nothing is remembered
static long are_there;
static const char *crc64nvme = "";
static char object_headers[512], checked_headers[HEAD], put_headers[128], copied[512], canned[BLOCK];
static int epoll;

static void reply(struct connection *c, const char *status, const char *headers, const char *body, size_t length) {
    c->head_length = snprintf(c->head, HEAD, ANSWER_HEAD, status, headers, length);
    c->body = body;
    c->body_length = length;
}

static void reply_text(struct connection *c, const char *headers, const char *body) {
    reply(c, "200 OK", headers, body, strlen(body));
}

static void reply_object(struct connection *c, const struct request *request) {
    long first = request->first, last = request->last;
    char headers[HEAD];
    counts.get++;
    c->canned_from = first > 0 ? first : 0;
    if (last < 0 || last >= body_bytes)
        last = body_bytes - 1;
    if (first < 0) {
        reply(c, "200 OK", request->checks ? checked_headers : object_headers, NULL, body_bytes);
    } else if (first > last) {
        reply(c, "416 Range Not Satisfiable", "", "", 0);
    } else {
        snprintf(headers, HEAD, PARTIAL_HEADERS, object_headers, first, last, body_bytes);
        reply(c, "206 Partial Content", headers, NULL, last - first + 1);
    }
}

static void reply_stats(struct connection *c) {
    if (asprintf(&c->owned, STATS, counts.list, counts.get, counts.put, counts.copy, counts.head, counts.other,
                 counts.refused, counts.unconditional, counts.overwritten, are_there) < 0)
        err(1, "stats");
    memset(&counts, 0, sizeof counts);
    reply_text(c, "", c->owned);
}

static void decode(const char *from, char *value) {
    char *last = value + VALUE - 1;
    for (; *from && *from != '&' && value < last; from++, value++) {
        *value = *from == '+' ? ' ' : *from;
        if (*from == '%' && from[1] && from[2] && sscanf(from + 1, "%2hhx", (unsigned char *)value) == 1)
            from += 2;
    }
    *value = 0;
}

// Whether the query has the parameter, whose decoded value goes into the VALUE bytes at `value`.
static bool parameter(const char *query, const char *name, char *value) {
    size_t length = strlen(name);
    for (const char *at = query; *at; at += strspn(at, "&")) {
        if (!strncmp(at, name, length) && strchr("=&", at[length])) {
            decode(at + length + (at[length] == '='), value);
            return true;
        }
        at += strcspn(at, "&");
    }
    return false;
}

static void name_key(long index, char *key) {
    long month = 1 + index / KEYS_PER_DAY / 28;
    long day = 1 + index / KEYS_PER_DAY % 28;
    long file = index % KEYS_PER_DAY;
    snprintf(key, KEY, KEY_NAME, month, day, month, day, file / 84, file * 60 / 84 % 60, index);
}

// The index of the first key that is not below `bound`, or with `after` of the first above it.
static long find_key(const char *bound, bool after) {
    long low = 0;
    long high = keys;
    while (low < high) {
        char key[KEY];
        long middle = (low + high) / 2;
        name_key(middle, key);
        int order = strcmp(key, bound);
        if (order < 0 || (after && order == 0))
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static long list_from(const char *query, const char *prefix) {
    char value[VALUE];
    long start = 0;
    long prefixed = *prefix ? find_key(prefix, false) : 0;
    if (parameter(query, "continuation-token", value))
        start = atol(value);
    else if (parameter(query, "start-after", value) && *value)
        start = find_key(value, true);
    return start > prefixed ? start : prefixed;
}

// The index of a virtual key, or -1.
static long index_of(const char *encoded) {
    char key[VALUE], found[KEY];
    decode(encoded, key);
    long index = find_key(key, false);
    if (index < keys)
        name_key(index, found);
    return index < keys && !strcmp(key, found) ? index : -1;
}

static long next_there(long index) {
    while (index < keys && !there[index])
        index++;
    return index;
}

// Writes up to `limit` entries and counts them. The index of the first key that was left for later, or -1.
static long list_entries(char *entries, long index, const char *prefix, bool delimited, bool is_replica, int limit,
                         int *count) {
    char key[KEY];
    for (; (index = is_replica ? next_there(index) : index) < keys; ++*count) {
        name_key(index, key);
        if (strncmp(key, prefix, strlen(prefix)))
            return -1;
        if (*count == limit)
            return index;
        char *slash = delimited ? strchr(key + strlen(prefix), '/') : NULL;
        if (slash) {
            slash[1] = 0;
            entries += sprintf(entries, COMMON_PREFIX, key);
            *slash = '/' + 1;  // what follows every key of that prefix
            index = find_key(key, false);
        } else {
            entries += sprintf(entries, CONTENTS, key, etag, body_bytes);
            index++;
        }
    }
    return -1;
}

static void reply_list(struct connection *c, const char *bucket, const char *query) {
    static char entries[LIST_MAX * ENTRY];
    char prefix[VALUE] = "", value[VALUE], token[128] = "";
    long next = -1;
    int count = 0;
    counts.list++;
    entries[0] = 0;
    parameter(query, "prefix", prefix);
    int limit = parameter(query, "max-keys", value) ? atoi(value) : LIST_MAX;
    if (limit <= 0 || limit > LIST_MAX)
        limit = LIST_MAX;
    bool delimited = parameter(query, "delimiter", value) && *value;
    bool is_replica = strstr(bucket, "dst");
    if (!is_replica || there)
        next = list_entries(entries, list_from(query, prefix), prefix, delimited, is_replica, limit, &count);
    if (next >= 0)
        sprintf(token, TOKEN, next);
    if (asprintf(&c->owned, LISTING, bucket, prefix, count, next < 0 ? "false" : "true", token, entries) < 0)
        err(1, "list");
    reply_text(c, XML_TYPE, c->owned);
}

static void answer_get(struct connection *c, const struct request *request) {
    char value[VALUE];
    if (!strncmp(request->bucket, "__stats", strlen("__stats")))
        reply_stats(c);
    else if (*request->key)
        reply_object(c, request);
    else if (parameter(request->query, "location", value))
        reply_text(c, "", LOCATION);
    else if (parameter(request->query, "versioning", value))
        reply_text(c, "", VERSIONING);
    else if (!*request->bucket)
        reply_text(c, "", BUCKETS);
    else
        reply_list(c, request->bucket, request->query);
}

static void answer_head(struct connection *c, const struct request *request) {
    counts.head++;
    if (!*request->key)
        reply_text(c, "x-amz-bucket-region: us-east-1\r\n", "");
    else if (strstr(request->bucket, "dst") && !(there && index_of(request->key) >= 0 && there[index_of(request->key)]))
        reply(c, "404 Not Found", "", "", 0);
    else
        c->head_length =
            snprintf(c->head, HEAD, OBJECT_HEAD, request->checks ? checked_headers : object_headers, body_bytes);
}

static void answer_put(struct connection *c, const struct request *request) {
    counts.copy += request->copies;
    counts.put += !request->copies;
    long index = there ? index_of(request->key) : -1;
    if (index >= 0 && there[index] && request->is_conditional) {
        counts.refused++;
        reply(c, "412 Precondition Failed", XML_TYPE, REFUSED, strlen(REFUSED));
        return;
    }
    counts.unconditional += !request->is_conditional;
    if (index >= 0) {
        counts.overwritten += there[index];
        are_there += !there[index];
        there[index] = true;
    }
    reply_text(c, request->copies ? XML_TYPE : put_headers, request->copies ? copied : "");
}

static void answer_other(struct connection *c, const struct request *request, bool is_post) {
    static const char action[] = "GetCallerIdentity";
    char value[VALUE];
    counts.other++;
    if (!is_post)
        reply_text(c, "", "");
    else if (parameter(request->query, "uploads", value))
        reply_text(c, "", BEGUN);
    else if (parameter(request->query, "uploadId", value))
        reply_text(c, "", COMPLETED);
    else if (memmem(c->in + request->head, request->kept, action, strlen(action)))
        reply_text(c, STS_TYPE, CALLER);
    else
        reply_text(c, STS_TYPE, ROLE);
}

static bool answer_request(struct connection *c, struct request *request) {
    char *rest = c->in;
    const char *method = strsep(&rest, " ");
    char *path = strsep(&rest, " ");
    if (!rest || *path++ != '/')
        return false;
    char *query = path;
    path = strsep(&query, "?");
    request->query = query ? query : "";
    request->bucket = strsep(&path, "/");
    request->key = path ? path : "";
    if (!strcmp(method, "GET"))
        answer_get(c, request);
    else if (!strcmp(method, "HEAD"))
        answer_head(c, request);
    else if (!strcmp(method, "PUT"))
        answer_put(c, request);
    else
        answer_other(c, request, !strcmp(method, "POST"));
    return true;
}

// The value if the line is a header of this name, given in lower case with its colon; else NULL.
static const char *value_of(const char *line, const char *name) {
    size_t length = strlen(name);
    if ((line[0] | 0x20) != name[0] || strncasecmp(line, name, length))
        return NULL;
    return line + length + strspn(line + length, " \t");
}

// Takes in the head, if all of it has come. A body that does not fit the buffer begins to be dropped; one that the
// client holds back until it is told to go on is asked for.
static bool read_head(struct connection *c, struct request *request) {
    char *end = memmem(c->in, c->in_length, "\r\n\r\n", 4);
    if (!end)
        return false;
    *request = (struct request){.head = end + 4 - c->in, .first = -1, .last = -1};
    end[2] = 0;
    size_t body = 0;
    bool expects = false;
    for (const char *line = strchr(c->in, '\n'); line; line = strchr(line, '\n')) {
        const char *value;
        line++;
        if ((value = value_of(line, "content-length:")))
            body = strtoul(value, NULL, 10);
        else if (value_of(line, "x-amz-copy-source:"))
            request->copies = true;
        else if (value_of(line, "x-amz-checksum-mode:"))
            request->checks = true;
        else if (value_of(line, "if-none-match:"))
            request->is_conditional = true;
        else if ((value = value_of(line, "expect:")))
            expects = !strncmp(value, "100", 3);
        else if ((value = value_of(line, "range:")))
            sscanf(value, "bytes=%ld-%ld", &request->first, &request->last);
    }
    if (expects && body && c->in_length == request->head)
        c->head_length = sprintf(c->head, "HTTP/1.1 100 Continue\r\n\r\n");
    if (body <= IN_ROOM - request->head) {
        request->kept = body;
    } else {
        request->unread = body - (c->in_length - request->head);
        c->in_length = request->head;
    }
    return true;
}

// WRITING if there is something to send, READING if more of the request must come first.
static enum state take_request(struct connection *c, struct request *request) {
    if (!request->head && !read_head(c, request))
        return c->in_length == IN_ROOM ? GONE : READING;
    if (c->head_length)
        return WRITING;
    size_t whole = request->head + request->kept;
    if (request->unread || c->in_length < whole)
        return READING;
    if (!answer_request(c, request))
        return GONE;
    c->in_length -= whole;
    memmove(c->in, c->in + whole, c->in_length);
    request->head = 0;
    return WRITING;
}

// READING once the answer has been sent, WRITING if the socket takes no more for now.
static enum state send_answer(struct connection *c) {
    while (c->sent < c->head_length + c->body_length) {
        size_t of_head = c->sent < c->head_length ? c->head_length - c->sent : 0;
        size_t at = c->sent + of_head - c->head_length;
        size_t left = c->body_length - at;
        size_t into = c->body ? at : (c->canned_from + at) % PERIOD;
        size_t run = c->body || left < BLOCK - into ? left : BLOCK - into;
        const char *body = c->body ? c->body : canned;
        struct iovec parts[] = {{c->head + c->head_length - of_head, of_head}, {(char *)body + into, run}};
        ssize_t length = writev(c->fd, parts, 2);
        if (length < 0)
            return errno == EAGAIN ? WRITING : GONE;
        c->sent += length;
    }
    free(c->owned);
    c->owned = NULL;
    c->sent = c->head_length = c->body_length = 0;
    return READING;
}

// Receives once, so that connections take turns: epoll tells of what is left. False if the client has gone.
static bool receive(struct connection *c) {
    static char untouched[DISCARD];
    size_t unread = c->request.unread;
    ssize_t length = unread ? recv(c->fd, untouched, unread < DISCARD ? unread : DISCARD, MSG_TRUNC)  // drops: tcp(7)
                            : recv(c->fd, c->in + c->in_length, IN_ROOM - c->in_length, 0);
    if (length <= 0)
        return length < 0 && errno == EAGAIN;
    if (unread)
        c->request.unread -= length;
    else
        c->in_length += length;
    return true;
}

static void watch(int operation, int fd, uint32_t events, void *what) {
    struct epoll_event event = {.events = events, .data.ptr = what};
    if (epoll_ctl(epoll, operation, fd, &event))
        err(1, "epoll_ctl");
}

static void serve(struct connection *c) {
    enum state state = c->state == READING && !receive(c) ? GONE : send_answer(c);
    while (state == READING && (state = take_request(c, &c->request)) == WRITING)
        state = send_answer(c);
    if (state == GONE) {
        close(c->fd);
        free(c->in);
        free(c->owned);
        free(c);
    } else if (state != c->state) {
        watch(EPOLL_CTL_MOD, c->fd, state == WRITING ? EPOLLOUT : EPOLLIN, c);
        c->state = state;
    }
}

static void accept_all(int listener) {
    int on = 1;
    int fd;
    while ((fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK)) >= 0) {
        struct connection *c = calloc(1, sizeof *c);
        if (!c || !(c->in = malloc(IN_ROOM)))
            err(1, "connection");
        c->fd = fd;
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
        watch(EPOLL_CTL_ADD, fd, EPOLLIN, c);
    }
}

static int listen_on(int port) {
    int on = 1;
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port)};
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (bind(listener, (struct sockaddr *)&address, sizeof address) || listen(listener, 1024))
        err(1, "port %d", port);
    return listener;
}

static void prepare_answers(void) {
    for (size_t index = 0; index < BLOCK; index++)
        canned[index] = (char)(index * 7 + 13);
    snprintf(object_headers, sizeof object_headers, OBJECT_HEADERS, etag);
    snprintf(checked_headers, sizeof checked_headers, *crc64nvme ? CHECKSUM : "%s", object_headers, crc64nvme);
    snprintf(put_headers, sizeof put_headers, "ETag: \"%s\"\r\n", etag);
    snprintf(copied, sizeof copied, COPIED, etag);
}

int main(int count, char **arguments) {
    if (count < 4 || (count > 4 && strlen(arguments[4]) > ETAG_MAX))
        errx(2, "usage: %s PORT KEYS BODYBYTES [ETAG [CRC64NVME [remember]]]", arguments[0]);
    keys = atol(arguments[2]);
    body_bytes = atol(arguments[3]);
    if (count > 4)
        etag = arguments[4];
    if (count > 5 && strlen(arguments[5]) <= ETAG_MAX)
        crc64nvme = arguments[5];
    if (count > 6 && !(there = calloc(keys + 1, sizeof *there)))
        err(1, "keys");
    signal(SIGPIPE, SIG_IGN);
    prepare_answers();
    int listener = listen_on(atoi(arguments[1]));
    epoll = epoll_create1(0);
    watch(EPOLL_CTL_ADD, listener, EPOLLIN, NULL);
    for (;;) {
        struct epoll_event events[EVENTS];
        int ready = epoll_wait(epoll, events, EVENTS, -1);
        for (int index = 0; index < ready; index++) {
            if (events[index].data.ptr)
                serve(events[index].data.ptr);
            else
                accept_all(listener);
        }
    }
}
