/* What the loads share: sockets to a server on this machine, the opening handshake and frames of WebSocket (RFC 6455). */
#ifndef SOCKETS_H
#define SOCKETS_H
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <arpa/inet.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define FIN_TEXT 0x81
#define FIN_PING 0x89
#define FIN_PONG 0x8A
#define PACKED 0x40
/* Of the example in RFC 6455 §1.3, so that no digest has to be made. */
#define KEY "dGhlIHNhbXBsZSBub25jZQ=="
#define ACCEPTED "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="

static const uint8_t MASK[4] = {0x37, 0xFA, 0x21, 0x3D};

__attribute__((format(printf, 1, 2), noreturn, unused)) static void fail(const char *text, ...) {
    va_list values;
    va_start(values, text);
    vfprintf(stderr, text, values);
    va_end(values);
    fputc('\n', stderr);
    exit(1);
}

__attribute__((unused)) static uint64_t now_ns(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

/* Seconds of a core that the process SERVER_PID has taken; 0 where none is named. */
__attribute__((unused)) static double server_cpu_s(void) {
    char path[64], line[1024] = "";
    unsigned long user = 0, system = 0;
    const char *pid = getenv("SERVER_PID");
    if (!pid) return 0;
    snprintf(path, sizeof path, "/proc/%d/stat", atoi(pid));
    FILE *file = fopen(path, "r");
    if (!file || !fgets(line, sizeof line, file)) fail("%s: %s", path, strerror(errno));
    fclose(file);
    sscanf(strrchr(line, ')') + 2, "%*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu", &user, &system);
    return (double)(user + system) / (double)sysconf(_SC_CLK_TCK);
}

__attribute__((unused)) static void *room(size_t count, size_t size) {
    void *made = calloc(count, size);
    if (!made) fail("no memory");
    return made;
}

__attribute__((unused)) static void raise_descriptors(void) {
    struct rlimit limit;
    getrlimit(RLIMIT_NOFILE, &limit);
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
}

__attribute__((unused)) static int connected(int port) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    int one = 1, fd = socket(AF_INET, SOCK_STREAM, 0);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (fd < 0) fail("socket: %s", strerror(errno));
    if (connect(fd, (struct sockaddr *)&address, sizeof address)) fail("connect: %s", strerror(errno));
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    return fd;
}

__attribute__((unused)) static void unblock(int fd) { fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK); }

/* All of it, waiting where the peer is slow. */
__attribute__((unused)) static void send_all(int fd, const void *data, size_t size) {
    const uint8_t *p = data;
    while (size) {
        ssize_t sent = send(fd, p, size, MSG_NOSIGNAL);
        if (sent < 0 && (errno == EAGAIN || errno == EINTR)) continue;
        if (sent <= 0) fail("send: %s", strerror(errno));
        p += sent;
        size -= (size_t)sent;
    }
}

/* The head of an HTTP/1.1 answer, byte by byte: nothing behind it is taken. */
__attribute__((unused)) static void read_head(int fd, char *head, size_t most) {
    size_t size = 0;
    while (size < 4 || memcmp(head + size - 4, "\r\n\r\n", 4)) {
        if (size + 1 >= most) fail("the head of the answer is too long");
        ssize_t got = recv(fd, head + size, 1, 0);
        if (got <= 0) fail("the server closed the connection in its answer: %.*s", (int)size, head);
        size += (size_t)got;
    }
    head[size] = 0;
}

/* A WebSocket that is open; deflate: it must be agreed on, without contexts. */
__attribute__((unused)) static int opened(int port, const char *path, const char *protocol, int deflate) {
    char text[2048];
    int fd = connected(port);
    int size = snprintf(text, sizeof text,
                        "GET %s HTTP/1.1\r\nhost: 127.0.0.1:%d\r\nupgrade: websocket\r\nconnection: Upgrade\r\n"
                        "sec-websocket-key: " KEY "\r\nsec-websocket-version: 13\r\n%s%s%s%s\r\n",
                        path, port, *protocol ? "sec-websocket-protocol: " : "", protocol, *protocol ? "\r\n" : "",
                        deflate ? "sec-websocket-extensions: permessage-deflate; server_no_context_takeover; "
                                  "client_no_context_takeover\r\n"
                                : "");
    send_all(fd, text, (size_t)size);
    read_head(fd, text, sizeof text);
    if (strncmp(text, "HTTP/1.1 101", 12) || !strstr(text, ACCEPTED)) fail("no WebSocket: %s", text);
    if (deflate && (!strcasestr(text, "permessage-deflate") || !strcasestr(text, "server_no_context_takeover")))
        fail("deflate was not agreed on: %s", text);
    return fd;
}

/* One masked frame; its size. `to` has 14 bytes more than the payload. */
__attribute__((unused)) static size_t put_frame(uint8_t *to, int first, const void *payload, size_t size) {
    const uint8_t *p = payload;
    size_t head = 2;
    to[0] = (uint8_t)first;
    if (size < 126) {
        to[1] = (uint8_t)(0x80 | size);
    } else {
        if (size > 0xFFFF) fail("a message of %zu bytes is too long for this load", size);
        to[1] = 0x80 | 126;
        to[2] = (uint8_t)(size >> 8);
        to[3] = (uint8_t)size;
        head = 4;
    }
    memcpy(to + head, MASK, 4);
    head += 4;
    for (size_t i = 0; i < size; i++) to[head + i] = p[i] ^ MASK[i & 3];
    return head + size;
}

/* Of a frame of the server: the size of its head, 0 where more must come; `payload` is its length. */
__attribute__((unused)) static size_t frame_head(const uint8_t *p, size_t size, size_t *payload) {
    if (size < 2) return 0;
    if (p[1] & 0x80) fail("the server masks");
    if (p[1] < 126) {
        *payload = p[1];
        return 2;
    }
    if (p[1] == 127) fail("a frame is too long for this load");
    if (size < 4) return 0;
    *payload = (size_t)p[2] << 8 | p[3];
    return 4;
}

/* One whole message of a socket that still blocks: a greeting. */
__attribute__((unused)) static void skip_message(int fd) {
    uint8_t data[65536];
    size_t have = 0, payload = 0, head;
    for (;;) {
        size_t want = 2;
        head = frame_head(data, have, &payload);
        if (head) want = head + payload;
        else if (have >= 2) want = 4;
        if (head && have == want) return;
        if (want > sizeof data) fail("a greeting is too long");
        ssize_t got = recv(fd, data + have, want - have, 0);
        if (got <= 0) fail("the server closed the connection before its greeting");
        have += (size_t)got;
    }
}

__attribute__((unused)) static int by_size(const void *a, const void *b) {
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return (x > y) - (x < y);
}

/* The value below which `share` of them lie; sorts them. */
__attribute__((unused)) static double percentile(uint32_t *values, size_t count, double share) {
    if (!count) return 0;
    qsort(values, count, sizeof *values, by_size);
    size_t at = (size_t)((double)count * share);
    return values[at < count ? at : count - 1];
}
#endif
