/* Requests and answers over WebSockets: on every connection the next message goes out when one has come back.

   echo PORT PATH CONNECTIONS DEPTH SECONDS SCRIPT [PROTOCOL [GREETINGS [deflate]]]

   SCRIPT: lines, each message and below it the answer that must come, which are taken in turn. DEPTH messages are under
   way on each connection; GREETINGS come before the first. Every answer is compared whole; packed ones with the first of
   their kind, which is unpacked and compared. Prints messages, seconds, what the server took of a
   core meanwhile (`server_cpu_s`), and two percentiles of the round trip in µs. */
#include "sockets.h"
#include <zlib.h>

#define MOST_LINES 256
#define MOST_FRAME 4096
#define MOST_SAMPLES 4000000

struct message {
    uint8_t frame[MOST_FRAME];
    size_t size;
    uint8_t answer[MOST_FRAME]; /* the whole frame of it */
    size_t answer_size;         /* 0: not known yet, as it is packed */
    char text[MOST_FRAME];
};

struct connection {
    int fd;
    unsigned sent, received;
    uint64_t sent_ns;
    size_t kept; /* of a frame that is not whole */
    uint8_t rest[MOST_FRAME];
};

static struct message messages[MOST_LINES];
static unsigned count_of_messages;
static int deflates;

static size_t packed(uint8_t *to, size_t most, const char *text, size_t size) {
    z_stream stream = {0};
    deflateInit2(&stream, 1, Z_DEFLATED, -15, 8, Z_DEFAULT_STRATEGY);
    stream.next_in = (uint8_t *)text;
    stream.avail_in = (unsigned)size;
    stream.next_out = to;
    stream.avail_out = (unsigned)most;
    deflate(&stream, Z_SYNC_FLUSH);
    size_t done = most - stream.avail_out - 4;
    deflateEnd(&stream);
    return done;
}

/* Whether an answer unpacks to the text; it may be sent as it is, too. */
static int is_answer(const uint8_t *frame, size_t head, size_t size, const char *text) {
    uint8_t out[MOST_FRAME], in[MOST_FRAME + 4];
    z_stream stream = {0};
    if (!(frame[0] & PACKED)) return size == strlen(text) && !memcmp(frame + head, text, size);
    memcpy(in, frame + head, size);
    memcpy(in + size, "\x00\x00\xff\xff", 4);
    inflateInit2(&stream, -15);
    stream.next_in = in;
    stream.avail_in = (unsigned)size + 4;
    stream.next_out = out;
    stream.avail_out = sizeof out;
    int result = inflate(&stream, Z_SYNC_FLUSH);
    size_t done = sizeof out - stream.avail_out;
    inflateEnd(&stream);
    return result == Z_OK && done == strlen(text) && !memcmp(out, text, done);
}

static void read_script(const char *path) {
    char line[MOST_FRAME], small[MOST_FRAME];
    FILE *file = fopen(path, "r");
    if (!file) fail("%s: %s", path, strerror(errno));
    while (fgets(line, sizeof line - 16, file)) {
        if (count_of_messages == MOST_LINES) fail("the script is too long");
        struct message *message = &messages[count_of_messages++];
        line[strcspn(line, "\n")] = 0;
        if (deflates) {
            size_t size = packed((uint8_t *)small, sizeof small, line, strlen(line));
            message->size = put_frame(message->frame, FIN_TEXT | PACKED, small, size);
        } else {
            message->size = put_frame(message->frame, FIN_TEXT, line, strlen(line));
        }
        if (!fgets(message->text, sizeof message->text - 16, file)) fail("a message of the script has no answer");
        message->text[strcspn(message->text, "\n")] = 0;
        size_t length = strlen(message->text), head = length < 126 ? 2 : 4;
        if (!deflates) {
            message->answer[0] = FIN_TEXT;
            message->answer[1] = (uint8_t)(length < 126 ? length : 126);
            if (head == 4) message->answer[2] = (uint8_t)(length >> 8), message->answer[3] = (uint8_t)length;
            memcpy(message->answer + head, message->text, length);
            message->answer_size = head + length;
        }
    }
    fclose(file);
    if (!count_of_messages) fail("the script is empty");
}

static void send_next(struct connection *connection, unsigned count) {
    static uint8_t out[1 << 20];
    size_t size = 0;
    while (count--) {
        struct message *message = &messages[connection->sent++ % count_of_messages];
        memcpy(out + size, message->frame, message->size);
        size += message->size;
    }
    send_all(connection->fd, out, size);
}

/* How many answers there are; what is left over is kept. */
static unsigned take(struct connection *connection, const uint8_t *data, size_t size) {
    unsigned found = 0;
    size_t at = 0, payload;
    while (at < size) {
        struct message *message = &messages[connection->received % count_of_messages];
        size_t whole = message->answer_size;
        if (!whole) {
            size_t head = frame_head(data + at, size - at, &payload);
            if (!head || at + head + payload > size) break;
            if (data[at] == FIN_PING || !is_answer(data + at, head, payload, message->text))
                fail("an answer is not %s", message->text);
            whole = message->answer_size = head + payload;
            memcpy(message->answer, data + at, whole);
        }
        if (size - at < whole) break;
        if (memcmp(data + at, message->answer, whole)) fail("an answer is not %s but %.*s", message->text, (int)whole, data + at);
        at += whole;
        connection->received++;
        found++;
    }
    connection->kept = size - at;
    if (connection->kept > MOST_FRAME) fail("an answer is too long");
    memcpy(connection->rest, data + at, connection->kept);
    return found;
}

int main(int argc, char **argv) {
    if (argc < 7) fail("echo PORT PATH CONNECTIONS DEPTH SECONDS SCRIPT [PROTOCOL [GREETINGS [deflate]]]");
    int port = atoi(argv[1]), greetings = argc > 8 ? atoi(argv[8]) : 0;
    unsigned connections = (unsigned)atoi(argv[3]), depth = (unsigned)atoi(argv[4]);
    double seconds = atof(argv[5]);
    deflates = argc > 9 && !strcmp(argv[9], "deflate");
    read_script(argv[6]);
    if (!connections || connections > 10000 || !depth || depth > 200) fail("1 to 10000 connections, 1 to 200 under way");
    raise_descriptors();
    struct connection *all = room(connections, sizeof *all);
    uint32_t *trips = room(MOST_SAMPLES, sizeof *trips);
    static uint8_t data[MOST_FRAME + 65536];
    struct epoll_event events[64];
    size_t samples = 0;
    uint64_t done = 0;
    int epoll = epoll_create1(0);
    for (unsigned i = 0; i < connections; i++) {
        all[i].fd = opened(port, argv[2], argc > 7 ? argv[7] : "", deflates);
        for (int g = 0; g < greetings; g++) skip_message(all[i].fd);
        unblock(all[i].fd);
        struct epoll_event event = {.events = EPOLLIN, .data.ptr = &all[i]};
        epoll_ctl(epoll, EPOLL_CTL_ADD, all[i].fd, &event);
    }
    double cpu_s = server_cpu_s();
    uint64_t started = now_ns(), end = started + (uint64_t)(seconds * 1e9), now = started;
    for (unsigned i = 0; i < connections; i++) {
        all[i].sent_ns = now_ns();
        send_next(&all[i], depth);
    }
    while (now < end) {
        int ready = epoll_wait(epoll, events, 64, 5000);
        if (ready == 0) fail("no answer came for 5 s");
        for (int i = 0; i < ready; i++) {
            struct connection *connection = events[i].data.ptr;
            memcpy(data, connection->rest, connection->kept);
            ssize_t got = recv(connection->fd, data + connection->kept, 65536, 0);
            if (got < 0 && errno == EAGAIN) continue;
            if (got <= 0) fail("the server closed a connection");
            unsigned found = take(connection, data, connection->kept + (size_t)got);
            now = now_ns();
            if (!found) continue;
            if (samples < MOST_SAMPLES) trips[samples++] = (uint32_t)((now - connection->sent_ns) / 100);
            done += found;
            connection->sent_ns = now;
            send_next(connection, found);
        }
    }
    printf("%llu messages in %.6f s, cpu %.2f s, p50 %.1f us, p99 %.1f us\n", (unsigned long long)done,
           (double)(now - started) / 1e9, server_cpu_s() - cpu_s, percentile(trips, samples, 0.5) / 10,
           percentile(trips, samples, 0.99) / 10);
    return 0;
}
