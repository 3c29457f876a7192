"""A WebSocket client of the relay: prints each message, until a payment arrives."""

import asyncio

import websockets

HELLO = '{"type":"handshake","client_id":"release-test","version":"1.0.0","capabilities":["notifications"]}'


async def listen():
    async with websockets.connect("ws://127.0.0.1:8090") as relay:
        await relay.send(HELLO)
        async for message in relay:
            print(message, flush=True)
            if "payment_detected" in message:
                return


asyncio.run(listen())
