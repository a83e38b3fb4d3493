// Keeps the page up to date, and starts runs without leaving it. Without this file everything still works by hand.
//
// The server renders; this only fetches the same page again and changes what differs, node by node, so that scroll,
// focus, an open list and a chosen filter stay. Nothing is ever made from text as markup: a fetched page is parsed by
// DOMParser, in which no script runs, and words are set as textContent.
(function () {
    "use strict";

    var IDLE = 5000, BUSY = 1000, LONGEST = 60000;  // milliseconds between two looks
    var live = document.getElementById("rk-live");
    var dot = document.getElementById("rk-dot");
    var refreshed = document.getElementById("rk-refreshed");
    var said = document.getElementById("rk-said");
    var start = document.getElementById("rk-start");
    var failures = 0, timer = 0, looking = false;

    if (!live) {
        return;
    }

    // -- changing what differs ---------------------------------------------------------------------------

    function key(node) {
        return node.nodeType === 1 ? node.getAttribute("data-key") : null;
    }

    function alike(one, other) {
        return one.nodeType === other.nodeType && one.nodeName === other.nodeName && key(one) === key(other);
    }

    function keepsItsOwn(node, name) {
        return (node.nodeName === "DETAILS" && name === "open") || (node.nodeName === "BUTTON" && name === "disabled");
    }

    function copyAttributes(from, to) {
        Array.from(to.attributes).forEach(function (each) {
            if (!from.hasAttribute(each.name) && !keepsItsOwn(to, each.name)) {
                to.removeAttribute(each.name);
            }
        });
        Array.from(from.attributes).forEach(function (each) {
            if (to.getAttribute(each.name) !== each.value) {
                to.setAttribute(each.name, each.value);
            }
        });
    }

    function become(old, wanted) {
        if (old.isEqualNode(wanted)) {
            return;
        }
        if (old.nodeType !== 1) {
            old.nodeValue = wanted.nodeValue;
            return;
        }
        if (old.id === "rk-filters") {  // what somebody is choosing there stays chosen
            return;
        }
        copyAttributes(wanted, old);
        becomeChildren(old, wanted);
    }

    function becomeChildren(old, wanted) {
        var keyed = new Map(), at = old.firstChild;
        Array.from(old.children).forEach(function (child) {
            if (key(child)) {
                keyed.set(key(child), child);
            }
        });
        Array.from(wanted.childNodes).forEach(function (next) {
            var found = keyed.get(key(next));
            if (found && alike(found, next)) {
                if (found !== at) {
                    old.insertBefore(found, at);
                } else {
                    at = at.nextSibling;
                }
                become(found, next);
            } else if (at && !key(at) && alike(at, next)) {
                become(at, next);
                at = at.nextSibling;
            } else {
                old.insertBefore(document.importNode(next, true), at);
            }
        });
        while (at) {
            var gone = at;
            at = at.nextSibling;
            gone.remove();
        }
    }

    // A card that moves to another place would lose the focus that is in it.
    function becomeQuietly(fresh) {
        var focused = document.activeElement;
        become(live, fresh);
        if (focused !== document.activeElement && live.contains(focused)) {
            focused.focus({preventScroll: true});
        }
    }

    // -- looking again -----------------------------------------------------------------------------------

    function look() {
        window.clearTimeout(timer);
        if (document.hidden || looking) {
            plan();
            return;
        }
        looking = true;
        fetch(window.location.href, {credentials: "same-origin", headers: {"Accept": "text/html"}})
            .then(function (answer) {
                return answer.ok ? answer.text() : Promise.reject(new Error("Flower answers " + answer.status));
            })
            .then(function (text) {
                var fresh = new DOMParser().parseFromString(text, "text/html").getElementById("rk-live");
                if (!fresh) {
                    throw new Error("signed out");
                }
                becomeQuietly(fresh);
                failures = 0;
                tell("status-dot-live", new Date().toISOString().slice(11, 19) + " UTC");
            })
            .catch(function (error) {
                failures += 1;
                tell("status-dot-error", "Not up to date: " + (error instanceof TypeError ? "Flower does not answer" : error.message));
            })
            .then(function () {
                looking = false;
                plan();
            });
    }

    function plan() {
        var every = live.getAttribute("data-busy") ? BUSY : IDLE;
        window.clearTimeout(timer);
        timer = window.setTimeout(look, Math.min(every * Math.pow(2, failures), LONGEST));
    }

    function tell(state, words) {
        dot.className = "status-dot " + state;
        refreshed.textContent = words;
    }

    // -- starting a run ----------------------------------------------------------------------------------

    function say(words, bad) {
        said.classList.toggle("rk-said-bad", Boolean(bad));
        said.textContent = words;
    }

    function renew() {
        var bytes = new Uint8Array(16);
        window.crypto.getRandomValues(bytes);
        start.elements.nonce.value = Array.from(bytes, function (each) {
            return each.toString(16).padStart(2, "0");
        }).join("");
    }

    function send(button) {
        var body = new URLSearchParams(new FormData(start));
        var what = button.textContent.trim() + ": ";
        body.set("start", button.value);
        button.disabled = true;
        fetch(start.action, {method: "POST", body: body, credentials: "same-origin", headers: {"Accept": "application/json"}})
            .then(function (answer) {
                return answer.json().catch(function () {
                    return {error: {message: "Flower answers " + answer.status, hint: ""}};
                });
            })
            .then(function (told) {
                renew();  // the next press is another run
                if (told.error) {
                    say(what + told.error.message + ". " + told.error.hint, true);
                } else {
                    say(what + "sent.");
                }
            })
            .catch(function () {
                say(what + "Flower does not answer.", true);
            })
            .then(function () {
                look();
                window.setTimeout(function () {
                    button.disabled = false;
                }, 1500);
                window.setTimeout(function () {
                    if (!said.classList.contains("rk-said-bad")) {
                        say("");
                    }
                }, 6000);
            });
    }

    if (start) {
        start.addEventListener("submit", function (event) {
            if (event.submitter && event.submitter.name === "start") {
                event.preventDefault();
                send(event.submitter);
            }
        });
    }

    document.addEventListener("change", function (event) {
        var filters = event.target.closest("#rk-filters");
        if (filters) {
            filters.requestSubmit();
        }
    });

    document.addEventListener("visibilitychange", function () {
        if (!document.hidden) {
            look();
        }
    });

    var filters = document.getElementById("rk-filters");
    if (filters) {
        filters.classList.add("rk-scripted");
    }
    tell("status-dot-live", refreshed.textContent || new Date().toISOString().slice(11, 19) + " UTC");
    plan();
}());
