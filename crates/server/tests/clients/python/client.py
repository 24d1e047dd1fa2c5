"""Runs one Python client: `python client.py PACKAGE HOST six|COUNT`.

`six` makes each of the six calls once; a number makes so many track calls, one every 10 ms.
Prints the names of the events that the client itself reported as lost, as a JSON list.
"""

import importlib
import json
import sys
import time
from datetime import datetime, timezone

MODULES = {
    "customerio-cdp-analytics": "customerio.analytics.client",
    "segment-analytics-python": "segment.analytics.client",
    "rudder-sdk-python": "rudderstack.analytics.client",
}

package, host, what = sys.argv[1:]
lost = []


def on_error(_error, batch):
    lost.extend(item.get("event", item["type"]) for item in batch)


client = importlib.import_module(MODULES[package]).Client(
    "wk_server", host=host, on_error=on_error
)

if what == "six":
    who = {
        "user_id": "ada",
        "timestamp": datetime(2026, 3, 10, 22, 21, 56, 500000, tzinfo=timezone.utc),
    }
    client.track(
        event="Order Completed",
        properties={"price": 9.5, "items": [1, 2], "note": "Zoë 🚀"},
        **who,
    )
    client.page(name="Pricing", properties={"path": "/pricing"}, **who)
    client.screen(name="Home", properties={"tab": 2}, **who)
    client.identify(traits={"plan": "pro", "address": {"city": "Paris"}}, **who)
    client.group(group_id="g1", traits={"seats": 3}, **who)
    client.alias(previous_id="old", **who)
else:
    for number in range(int(what)):
        client.track(user_id="ada", event=f"E {number}")
        time.sleep(0.01)

client.flush()
client.join()
print(json.dumps(lost))
