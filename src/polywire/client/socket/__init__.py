"""The client over the polywire WebSocket protocol, and over HTTP where WebSockets do not get through."""
