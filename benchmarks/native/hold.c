/* WebSockets that are open and quiet: they answer pings, and that is all.

   hold PORT PATH CONNECTIONS [GREETINGS]

   Prints "open" when all are, and ends at the end of its input; then it prints how many pings it has answered. Fails
   where the server closes one. */
#include "units.h"

int main(int argc, char **argv) {
    if (argc < 4) fail("hold PORT PATH CONNECTIONS [GREETINGS]");
    static struct epoll_event events[1024];
    unsigned long pings = 0;
    int connections = atoi(argv[3]), greetings = argc > 4 ? atoi(argv[4]) : 0, epoll = epoll_create1(0);
    raise_descriptors();
    for (int i = 0; i < connections; i++) {
        int fd = opened(atoi(argv[1]), argv[2], "", 0);
        for (int g = 0; g < greetings; g++) skip_message(fd);
        unblock(fd);
        struct epoll_event event = {.events = EPOLLIN, .data.fd = fd};
        epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event);
    }
    struct epoll_event input = {.events = EPOLLIN, .data.fd = 0};
    epoll_ctl(epoll, EPOLL_CTL_ADD, 0, &input);
    printf("open\n");
    fflush(stdout);
    for (;;) {
        int ready = epoll_wait(epoll, events, 1024, -1);
        for (int i = 0; i < ready; i++) {
            uint8_t data[4096], reply[256];
            size_t at = 0, taken, reply_size;
            struct unit unit;
            ssize_t got = events[i].data.fd ? recv(events[i].data.fd, data, sizeof data, 0) : 0;
            if (!events[i].data.fd) {
                printf("%lu pings\n", pings);
                return 0;
            }
            if (got <= 0) fail("the server closed a connection");
            while ((taken = next_unit(WEBSOCKET, data + at, (size_t)got - at, &unit, reply, &reply_size)) != 0) {
                if (reply_size) send_all(events[i].data.fd, reply, reply_size), pings++;
                at += taken;
                if (at == (size_t)got) break;
            }
            if (at != (size_t)got) fail("a frame is cut");
        }
    }
}
