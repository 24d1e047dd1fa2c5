// What the console does in the browser beyond plain HTML: htmx and its live streams, and a few
// helpers that each do one thing to marked elements.

import "htmx.org";
import "htmx.org/dist/ext/hx-sse.js";
import { copying } from "./copying";
import { editing } from "./editing";
import { leaving } from "./leaving";
import { living } from "./living";
import { moments } from "./moments";
import { ordering } from "./ordering";

document.documentElement.dataset["scripted"] = "yes";
copying();
leaving();
editing();
living();
moments();
ordering();
