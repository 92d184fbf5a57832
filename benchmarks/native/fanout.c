/* Subscribers of one topic, and a control socket that has messages published to them.

   fanout PORT KIND PATH CONNECTIONS STREAMS COUNT PER_SECOND SECONDS [HELLO [GREETINGS]]

   KIND: ws, sse, sse2 (HTTP/2, with STREAMS on each connection). At /publish there must be a WebSocket that takes
   "COUNT PER_SECOND" and publishes as many messages, each with "#number@nanoseconds#" in it, numbered from 1. With
   PER_SECOND 0 all are published at once, and again when everybody has all of them, for so many SECONDS; else once.
   HELLO: what each WebSocket sends first; GREETINGS: messages that come before the first one of the topic.
   Every subscriber must get every message once and in order. Prints deliveries, seconds, what the server took of a
   core meanwhile (`server_cpu_s`), and percentiles of the time from publication to delivery in µs. */
#include "units.h"

#define MOST_REST 65536
#define MOST_SAMPLES 20000000

struct connection {
    int fd;
    size_t kept;
    uint8_t *rest;        /* of a unit that is not whole; NULL between units */
    uint32_t *last;       /* the number of the last message of each stream */
};

static enum kind kind;
static unsigned streams = 1;
static uint32_t *waits;
static size_t samples;
static uint64_t deliveries;

static uint64_t number_at(const uint8_t *p, unsigned digits) {
    uint64_t value = 0;
    while (digits--) {
        if (*p < '0' || *p > '9') fail("a number is %.30s", p);
        value = value * 10 + (uint64_t)(*p++ - '0');
    }
    return value;
}

static void look_through(struct connection *connection, const struct unit *unit, uint64_t now) {
    const uint8_t *p = unit->payload, *end = p + unit->size;
    while ((p = memchr(p, '#', (size_t)(end - p))) != NULL) {
        if (end - p < 32 || p[11] != '@' || p[31] != '#') fail("a message is cut: %.*s", (int)unit->size, unit->payload);
        uint64_t number = number_at(p + 1, 10), at = number_at(p + 12, 19);
        unsigned stream = kind == HTTP2 ? (unit->stream - 1) / 2 : 0;
        if (stream >= streams) fail("there is no stream %u", unit->stream);
        if (number != connection->last[stream] + 1u)
            fail("message %llu came after %u", (unsigned long long)number, connection->last[stream]);
        connection->last[stream] = (uint32_t)number;
        deliveries++;
        if (samples < MOST_SAMPLES) waits[samples++] = (uint32_t)((now - at) / 1000);
        p += 32;
    }
}

static void read_units(struct connection *connection) {
    static uint8_t data[MOST_REST + (1 << 18)];
    uint8_t reply[256];
    size_t at = 0, taken, reply_size;
    struct unit unit;
    if (connection->kept) memcpy(data, connection->rest, connection->kept);
    ssize_t got = recv(connection->fd, data + connection->kept, 1 << 18, 0);
    if (got < 0 && errno == EAGAIN) return;
    if (got <= 0) fail("the server closed a connection");
    size_t size = connection->kept + (size_t)got;
    uint64_t now = now_ns();
    data[size] = 0;
    while (at < size && (taken = next_unit(kind, data + at, size - at, &unit, reply, &reply_size)) != 0) {
        if (reply_size) send_all(connection->fd, reply, reply_size);
        look_through(connection, &unit, now);
        at += taken;
    }
    connection->kept = size - at;
    if (connection->kept > MOST_REST) fail("a unit is too long");
    if (connection->kept && !connection->rest) connection->rest = room(1, MOST_REST);
    if (connection->kept) memcpy(connection->rest, data + at, connection->kept);
    else if (connection->rest) free(connection->rest), connection->rest = NULL;
}

static void wait_for(int epoll, uint64_t wanted) {
    static struct epoll_event events[1024];
    while (deliveries < wanted) {
        int ready = epoll_wait(epoll, events, 1024, 10000);
        if (ready == 0) fail("%llu of %llu deliveries, then nothing for 10 s", (unsigned long long)deliveries, (unsigned long long)wanted);
        for (int i = 0; i < ready; i++) read_units(events[i].data.ptr);
    }
}

/* Everybody is there once each has got a message: until then the topic may not know of them all. */
static void settle(int epoll) {
    static struct epoll_event events[1024];
    int ready;
    while ((ready = epoll_wait(epoll, events, 1024, 700)) > 0)
        for (int i = 0; i < ready; i++) read_units(events[i].data.ptr);
    if (deliveries) fail("messages came before any was published");
}

int main(int argc, char **argv) {
    if (argc < 9) fail("fanout PORT KIND PATH CONNECTIONS STREAMS COUNT PER_SECOND SECONDS [HELLO [GREETINGS]]");
    int port = atoi(argv[1]), count = atoi(argv[6]), per_second = atoi(argv[7]);
    int greetings = argc > 10 ? atoi(argv[10]) : 0;
    unsigned connections = (unsigned)atoi(argv[4]);
    const char *hello = argc > 9 ? argv[9] : "";
    double seconds = atof(argv[8]);
    uint8_t frame[1024], order[128];
    char text[64];
    kind = !strcmp(argv[2], "ws") ? WEBSOCKET : !strcmp(argv[2], "sse") ? HTTP1 : HTTP2;
    if (kind == HTTP2) streams = (unsigned)atoi(argv[5]);
    if (!connections || connections > 19000 || !streams || streams > 1000 || count < 1) fail("a number is out of range");
    raise_descriptors();
    struct connection *all = room(connections, sizeof *all);
    waits = room(MOST_SAMPLES, sizeof *waits);
    int epoll = epoll_create1(0);
    for (unsigned i = 0; i < connections; i++) {
        all[i].last = room(streams, sizeof *all[i].last);
        if (kind == HTTP1) all[i].fd = opened_http1(port, argv[3]);
        else if (kind == HTTP2) all[i].fd = opened_h2(port, argv[3], streams);
        else all[i].fd = opened(port, argv[3], "", 0);
        if (kind == WEBSOCKET && *hello) send_all(all[i].fd, frame, put_frame(frame, FIN_TEXT, hello, strlen(hello)));
        for (int g = 0; g < greetings; g++) skip_message(all[i].fd);
        unblock(all[i].fd);
        struct epoll_event event = {.events = EPOLLIN, .data.ptr = &all[i]};
        epoll_ctl(epoll, EPOLL_CTL_ADD, all[i].fd, &event);
    }
    int control = opened(port, "/publish", "", 0);
    settle(epoll);
    uint64_t each = (uint64_t)connections * streams * (uint64_t)count, wanted = 0, started = now_ns();
    double cpu_s = server_cpu_s();
    snprintf(text, sizeof text, "%d %d", count, per_second);
    size_t order_size = put_frame(order, FIN_TEXT, text, strlen(text));
    do {
        send_all(control, order, order_size);
        wait_for(epoll, wanted += each);
    } while (!per_second && (double)(now_ns() - started) < seconds * 1e9);
    double took = (double)(now_ns() - started) / 1e9;
    printf("%llu deliveries in %.6f s, cpu %.2f s, p50 %.0f us, p99 %.0f us\n", (unsigned long long)deliveries, took,
           server_cpu_s() - cpu_s, percentile(waits, samples, 0.5), percentile(waits, samples, 0.99));
    return 0;
}
