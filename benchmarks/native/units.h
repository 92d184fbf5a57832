/* The ways on which a subscriber hears of messages: WebSocket frames, chunks of HTTP/1.1, DATA frames of HTTP/2.

   Each is cut into units, whose payload is looked through for messages. */
#ifndef UNITS_H
#define UNITS_H
#include "sockets.h"

enum kind { WEBSOCKET, HTTP1, HTTP2 };

struct unit {
    const uint8_t *payload;
    size_t size;
    uint32_t stream; /* of HTTP/2 */
};

static const uint8_t PREFACE[] = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

__attribute__((unused)) static size_t put_h2(uint8_t *to, size_t size, int type, int flags, uint32_t stream) {
    uint8_t head[9] = {(uint8_t)(size >> 16), (uint8_t)(size >> 8), (uint8_t)size, (uint8_t)type, (uint8_t)flags,
                       (uint8_t)(stream >> 24), (uint8_t)(stream >> 16), (uint8_t)(stream >> 8), (uint8_t)stream};
    memcpy(to, head, 9);
    return 9;
}

/* A field without indexing and without Huffman coding (RFC 7541 §6.2.2). */
static size_t put_field(uint8_t *to, const char *name, const char *value) {
    size_t at = 0, names = strlen(name), values = strlen(value);
    to[at++] = 0;
    to[at++] = (uint8_t)names;
    memcpy(to + at, name, names);
    at += names;
    to[at++] = (uint8_t)values;
    memcpy(to + at, value, values);
    return at + values;
}

/* An HTTP/2 connection that asks for events on so many streams; its windows are as wide as they can be. */
__attribute__((unused)) static int opened_h2(int port, const char *path, unsigned streams) {
    static uint8_t out[1 << 16];
    uint8_t block[512];
    size_t at = sizeof PREFACE - 1, size = 0;
    int fd = connected(port);
    memcpy(out, PREFACE, at);
    at += put_h2(out + at, 6, 4, 0, 0);
    memcpy(out + at, "\x00\x04\x7f\xff\xff\xff", 6);
    at += 6;
    at += put_h2(out + at, 4, 8, 0, 0);
    memcpy(out + at, "\x7f\xff\x00\x00", 4);
    at += 4;
    size += put_field(block + size, ":method", "GET");
    size += put_field(block + size, ":scheme", "http");
    size += put_field(block + size, ":authority", "127.0.0.1");
    size += put_field(block + size, ":path", path);
    size += put_field(block + size, "accept", "text/event-stream");
    for (unsigned i = 0; i < streams; i++) {
        if (at + 9 + size > sizeof out) fail("too many streams for one write");
        at += put_h2(out + at, size, 1, 5, 1 + 2 * i);
        memcpy(out + at, block, size);
        at += size;
    }
    send_all(fd, out, at);
    return fd;
}

__attribute__((unused)) static int opened_http1(int port, const char *path) {
    char head[4096];
    int fd = connected(port);
    int size = snprintf(head, sizeof head, "GET %s HTTP/1.1\r\nhost: 127.0.0.1\r\naccept: text/event-stream\r\n\r\n", path);
    send_all(fd, head, (size_t)size);
    read_head(fd, head, sizeof head);
    if (strncmp(head, "HTTP/1.1 200", 12) || !strcasestr(head, "transfer-encoding: chunked")) fail("no events: %s", head);
    return fd;
}

/* The next unit of p[:size]; how much it takes, 0 where more must come. Answers to pings are put into `reply`. */
__attribute__((unused)) static size_t next_unit(enum kind kind, const uint8_t *p, size_t size, struct unit *unit, uint8_t *reply,
                                                size_t *reply_size) {
    size_t head, payload = 0;
    unit->payload = p;
    unit->size = 0;
    unit->stream = 0;
    *reply_size = 0;
    if (kind == WEBSOCKET) {
        head = frame_head(p, size, &payload);
        if (!head || head + payload > size) return 0;
        if (p[0] == FIN_PING) *reply_size = put_frame(reply, FIN_PONG, p + head, payload);
        else if (p[0] != FIN_TEXT) fail("a frame begins with %02x", p[0]);
        else unit->payload = p + head, unit->size = payload;
        return head + payload;
    }
    if (kind == HTTP1) {
        const uint8_t *end = memchr(p, '\n', size);
        if (!end) return 0;
        head = (size_t)(end - p) + 1;
        payload = strtoul((const char *)p, NULL, 16);
        if (!payload) fail("the server has ended its events");
        if (head + payload + 2 > size) return 0;
        unit->payload = p + head;
        unit->size = payload;
        return head + payload + 2;
    }
    if (size < 9) return 0;
    payload = (size_t)p[0] << 16 | (size_t)p[1] << 8 | p[2];
    if (9 + payload > size) return 0;
    unit->stream = ((uint32_t)p[5] << 24 | (uint32_t)p[6] << 16 | (uint32_t)p[7] << 8 | p[8]) & 0x7fffffff;
    switch (p[3]) {
    case 0: unit->payload = p + 9, unit->size = payload; break;
    case 1: if (p[9] != 0x88) fail("a stream is not answered 200"); break;
    case 3: fail("the server has reset a stream");
    case 4: if (!(p[4] & 1)) *reply_size = put_h2(reply, 0, 4, 1, 0); break;
    case 6:
        if (!(p[4] & 1)) {
            put_h2(reply, 8, 6, 1, 0);
            memcpy(reply + 9, p + 9, 8);
            *reply_size = 17;
        }
        break;
    case 7: fail("the server has sent GOAWAY");
    default: break;
    }
    return 9 + payload;
}
#endif
