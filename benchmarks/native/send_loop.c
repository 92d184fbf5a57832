/* A ceiling: WebSockets that are told by a bare loop of send(), in one thread, without a framework.

   send_loop PORT

   Every WebSocket but that of /publish is told; that one orders "COUNT PER_SECOND" (only 0 is known). The messages of one
   order go out one after the other, as they are published, or with COUNT above 1 together in one send() each. */
#include "sockets.h"
#include <signal.h>

#define LENGTH 240 /* of a message, as benchmarks/peers/pace.py has it */
#define MOST 20000

static int subscribers[MOST];
static unsigned count_of_subscribers;

static size_t put_message(uint8_t *to, unsigned number) {
    char text[LENGTH + 64];
    int size = snprintf(text, sizeof text, "#%010u@%019llu#", number, (unsigned long long)now_ns());
    memset(text + size, '.', sizeof text - (size_t)size);
    to[0] = FIN_TEXT;
    to[1] = 126;
    to[2] = 0;
    to[3] = LENGTH;
    memcpy(to + 4, text, LENGTH);
    return 4 + LENGTH;
}

static void publish(unsigned *number, unsigned count) {
    static uint8_t out[1 << 16];
    size_t size = 0;
    if (count > 100) fail("too many at once");
    while (count--) size += put_message(out + size, ++*number);
    for (unsigned i = 0; i < count_of_subscribers; i++)
        if (send(subscribers[i], out, size, MSG_NOSIGNAL | MSG_DONTWAIT) != (ssize_t)size) fail("a subscriber is too slow");
}

static int is_order(const uint8_t *frame, ssize_t size, unsigned *count) {
    char text[64] = "";
    size_t length = frame[1] & 0x7f;
    if (size < 6 || frame[0] != FIN_TEXT || length > 60 || (size_t)size != 6 + length) return 0;
    for (size_t i = 0; i < length; i++) text[i] = (char)(frame[6 + i] ^ frame[2 + (i & 3)]);
    return sscanf(text, "%u 0", count) == 1;
}

int main(int argc, char **argv) {
    if (argc != 2) fail("send_loop PORT");
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)atoi(argv[1]))};
    int one = 1, listener = socket(AF_INET, SOCK_STREAM, 0);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    if (bind(listener, (struct sockaddr *)&address, sizeof address) || listen(listener, 4096)) fail("bind: %s", strerror(errno));
    raise_descriptors();
    for (;;) {
        char head[4096];
        int fd = accept(listener, NULL, NULL);
        if (fd < 0) fail("accept: %s", strerror(errno));
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
        if (recv(fd, head, 1, MSG_PEEK) <= 0) {
            close(fd); /* only to see whether we listen */
            continue;
        }
        read_head(fd, head, sizeof head);
        static const char answer[] = "HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\nconnection: Upgrade\r\n"
                                     "sec-websocket-accept: " ACCEPTED "\r\n\r\n";
        send_all(fd, answer, sizeof answer - 1);
        if (strncmp(head, "GET /publish ", 13)) {
            if (count_of_subscribers == MOST) fail("too many subscribers");
            subscribers[count_of_subscribers++] = fd;
            continue;
        }
        for (unsigned number = 0;;) {
            uint8_t frame[128];
            unsigned count;
            ssize_t size = recv(fd, frame, sizeof frame, 0);
            if (size <= 0) break;
            if (!is_order(frame, size, &count)) fail("an order is not understood");
            publish(&number, count);
        }
        close(fd);
        for (unsigned i = 0; i < count_of_subscribers; i++) close(subscribers[i]);
        count_of_subscribers = 0;
    }
}
