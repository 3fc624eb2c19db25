"""Every result of a station, as an OPC UA client hears it: part, verdict and the hash of the recipe, a line each.

pip install asyncua
python examples/opcua_results.py opc.tcp://127.0.0.1:4840/ gears
"""

import asyncio
import sys

from asyncua import Client, ua


class Results:
    """What the subscription calls."""

    def event_notification(self, event):
        """A part has a result."""
        print(event.PartId.Id, event.ResultContent[0].Value, event.InternalRecipeId.Hash.hex(), flush=True)


async def follow(url: str, station: str) -> None:
    """Until the line ends."""
    async with Client(url, watchdog_intervall=10) as client:  # seconds in which the line must answer
        await client.load_data_type_definitions()  # of OPC 40100-1, which the server describes
        own = await client.get_namespace_index("urn:blemish:line")
        standard = await client.get_namespace_index("http://opcfoundation.org/UA/MachineVision")
        subscription = await client.create_subscription(100, Results())
        ready = ua.NodeId(1024, standard)  # ResultReadyEventType
        await subscription.subscribe_events(client.get_node(ua.NodeId(station, own)), ready)
        while True:
            await asyncio.sleep(1)
            await client.check_connection()


if __name__ == "__main__":
    asyncio.run(follow(*sys.argv[1:]))
