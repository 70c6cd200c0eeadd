"""Drives a cluster with Tencent's unmodified Python SDK and prints what came of it as one JSON object.

Use:  drive.py SCENARIO URL,URL,... QUEUE [ID SECRET]     scenarios: every, topics, rights, produce, drain

Why a program of its own: the SDK is the thing under test; the Rust test beside it checks the output.
Must never: change the SDK, or decide whether an outcome is right.
"""

import json
import logging
import sys
import threading
import time

from cmq.account import Account
from cmq.cmq_exception import CMQExceptionBase, CMQServerException
from cmq.queue import Message, QueueMeta
from cmq.subscription import SubscriptionMeta
from cmq.topic import Message as TopicMessage
from cmq.topic import TopicMeta

KEY = ("AKIDlocal", "local")


def account(url, key=KEY):
    made = Account(url, *key)
    made.set_log_level(logging.CRITICAL)
    return made


def outcome(call, *words, **named):
    """What a call returns, or its error as the SDK shows it to an application."""
    try:
        return call(*words, **named)
    except CMQServerException as error:
        return {"code": error.code, "message": error.message, "data": error.data}
    except CMQExceptionBase as error:
        return {"network": str(error)}


def short(call, *words, **named):
    """`ok`, or code and message of the error."""
    answer = outcome(call, *words, **named)
    if isinstance(answer, dict) and "network" in answer:
        return answer["network"]
    if isinstance(answer, dict) and "data" in answer:
        return "%d %s" % (answer["code"], answer["message"])
    return "ok"


def raw(client, action, params):
    """An action that the SDK has no name for, signed and sent by it."""
    return json.loads(client.request(action, params).data)


def meta(**changes):
    made = QueueMeta()
    for name, value in changes.items():
        setattr(made, name, value)
    return made


def text(message):
    return message.msgBody


def queues(urls, name, said):
    """Create, list, get, set: each through another node."""
    a, b, c = [account(url).get_queue(name) for url in urls]
    made = meta(pollingWaitSeconds=0, visibilityTimeout=30, maxMsgSize=65536, msgRetentionSeconds=3600)
    said["create"] = short(a.create, made)
    said["create again"] = short(b.create, made)
    said["create misnamed"] = short(account(urls[0]).get_queue("1q").create, made)
    total, listed, after = account(urls[2]).list_queue(searchWord=name)
    said["list"] = [total, [queue["queueName"] for queue in listed], after]
    said["list ids"] = [type(queue["queueId"]).__name__ for queue in listed]
    found = b.get_attributes()
    fields = ["maxMsgHeapNum", "pollingWaitSeconds", "visibilityTimeout", "maxMsgSize", "msgRetentionSeconds"]
    counts = ["activeMsgNum", "inactiveMsgNum", "rewindSeconds", "rewindmsgNum", "minMsgTime", "delayMsgNum"]
    said["get"] = [getattr(found, field) for field in fields + counts]
    said["times"] = found.createTime > 1500000000 and found.lastModifyTime >= found.createTime
    said["set"] = short(c.set_attributes, meta(visibilityTimeout=20, maxMsgSize=65536, msgRetentionSeconds=3600))
    said["get after set"] = a.get_attributes().visibilityTimeout
    said["set out of range"] = short(c.set_attributes, meta(visibilityTimeout=0))


def messages(urls, name, said):
    """Send, receive, delete: each through another node."""
    a, b, c = [account(url).get_queue(name) for url in urls]
    said["receive nothing"] = short(a.receive_message, 0)
    bodies = ["hello world", "@home", "中文 +&=% \n\"", "x" * 65536]
    sent = [a.send_message(Message(body)).msgId for body in bodies]
    said["ids"] = all(isinstance(number, str) and number.isdigit() for number in sent) and len(set(sent)) == len(sent)
    said["send too large"] = short(a.send_message, Message("x" * 65537))
    said["send empty"] = short(a.send_message, Message(""))
    said["send far too large"] = short(a.send_message, Message("x" * 1200000))
    received = [b.receive_message(1) for _ in bodies]
    said["bodies"] = sorted(map(text, received)) == sorted(bodies)
    said["same ids"] = sorted(message.msgId for message in received) == sorted(sent)
    first = received[0]
    said["message"] = [
        type(first.receiptHandle).__name__,
        first.dequeueCount,
        0 <= first.nextVisibleTime - first.firstDequeueTime - 20 <= 1,
        abs(first.enqueueTime - time.time()) < 60,
    ]
    said["delete"] = [short(c.delete_message, message.receiptHandle) for message in received]
    said["delete again"] = short(c.delete_message, first.receiptHandle)
    said["delete nonsense"] = short(c.delete_message, "abc")
    batches(a, b, c, said)


def batches(a, b, c, said):
    bodies = ["batch %d" % number for number in range(16)]
    sent = a.batch_send_message([Message(body) for body in bodies])
    said["batch send"] = len({message.msgId for message in sent})
    said["batch send 17"] = short(a.batch_send_message, [Message("x")] * 17)
    received = b.batch_receive_message(16, 1)
    said["batch receive"] = sorted(map(text, received)) == sorted(bodies)
    handles = [message.receiptHandle for message in received]
    said["batch delete"] = short(c.batch_delete_message, handles[:8])
    partly = outcome(c.batch_delete_message, handles[7:9])
    said["batch delete a part"] = [partly["code"], [error["code"] for error in partly["data"]["errorList"]]]
    said["batch delete none"] = short(c.batch_delete_message, handles[:2])
    said["batch delete the rest"] = short(c.batch_delete_message, handles[9:])
    said["left"] = [b.get_attributes().activeMsgNum, b.get_attributes().inactiveMsgNum]


def polls(urls, name, said):
    """Long polls end on time, and wake when a message comes through another node; delays are kept."""
    a, b, c = [account(url).get_queue(name) for url in urls]
    for waiting in (a, b, c):
        begun = time.monotonic()
        ended = short(waiting.receive_message, 2)
        said.setdefault("poll", []).append([ended, 1.9 < time.monotonic() - begun < 3.5])
    for waiting, sending in ((a, b), (b, c), (c, a)):
        sender = threading.Timer(0.5, sending.send_message, [Message("wake")])
        sender.start()
        begun = time.monotonic()
        message = waiting.receive_message(10)
        said.setdefault("wake", []).append([message.msgBody, time.monotonic() - begun < 3])
        sender.join()
        waiting.delete_message(message.receiptHandle)
    a.send_message(Message("late"), 2)
    said["delayed"] = b.get_attributes().delayMsgNum
    said["not yet"] = short(b.receive_message, 0)
    late = c.receive_message(8)
    said["late"] = late.msgBody
    c.delete_message(late.receiptHandle)


def signatures(urls, name, said):
    strong = account(urls[0])
    strong.set_sign("sha256")
    said["sha256"] = strong.list_queue(searchWord=name)[0]
    getter = account(urls[1])
    getter.get_client().set_method("GET")
    said["GET"] = short(getter.get_queue(name).send_message, Message("by GET @+&"))
    said["by GET"] = account(urls[0]).get_queue(name).receive_message(1).msgBody
    said["wrong key"] = short(account(urls[0], ("AKIDlocal", "wrong")).list_queue)
    said["wrong id"] = short(account(urls[0], ("AKIDnobody", "local")).list_queue)
    said["no id"] = short(account(urls[0], ("nobody", "local")).list_queue)


def extras(urls, name, said):
    client = account(urls[0]).get_client()
    dead, work = name + "-dead", name + "-work"
    said["create dead"] = raw(client, "CreateQueue", {"queueName": dead})["code"]
    rule = {"queueName": work, "deadLetterQueueName": dead, "policy": 0, "maxReceiveCount": 1, "visibilityTimeout": 1}
    said["create work"] = raw(client, "CreateQueue", rule)["code"]
    found = raw(client, "GetQueueAttributes", {"queueName": work})
    said["rule"] = [found["deadLetterQueueName"], found["policy"], found["maxReceiveCount"], found["rewindMsgNum"]]
    sources = raw(client, "DescribeDeadLetterSourceQueues", {"deadLetterQueueName": dead})
    said["sources"] = [sources["totalCount"], [queue["queueName"] for queue in sources["queueList"]]]
    account(urls[1]).get_queue(work).send_message(Message("poison"))
    account(urls[1]).get_queue(work).receive_message(1)
    said["dead letter"] = account(urls[2]).get_queue(dead).receive_message(10).msgBody
    said["unbind"] = raw(client, "UnbindDeadLetter", {"queueName": work})["code"]
    said["unbound"] = "deadLetterQueueName" in raw(client, "GetQueueAttributes", {"queueName": work})
    account(urls[1]).get_queue(work).send_message(Message("dropped"))
    said["clear"] = raw(client, "ClearQueue", {"queueName": work})["code"]
    said["cleared"] = short(account(urls[2]).get_queue(work).receive_message, 0)
    said["route"] = len(raw(client, "QueryQueueRoute", {"queueName": work})["addr"])
    said["rewind"] = short(account(urls[0]).get_queue(name).rewindQueue, int(time.time()) - 10)
    rewound(urls, name + "-tape", said)
    said["unknown action"] = raw(client, "Dance", {})["message"]
    for queue in (work, dead, name):
        said.setdefault("delete queues", []).append(short(account(urls[1]).get_queue(queue).delete))
    said["deleted"] = short(account(urls[2]).get_queue(name).get_attributes)
    said["send to deleted"] = short(account(urls[0]).get_queue(name).send_message, Message("x"))


def rewound(urls, name, said):
    """What was deleted comes back, in its order, from the time on that is asked for."""
    a, b, c = [account(url).get_queue(name) for url in urls]
    a.create(meta(rewindSeconds=600, msgRetentionSeconds=3600))
    for body in ("one", "two"):
        a.send_message(Message(body))
    first = [b.receive_message(5) for _ in range(2)]
    for message in first:
        b.delete_message(message.receiptHandle)
    said["rewindable"] = c.get_attributes().rewindmsgNum
    said["empty before"] = short(c.receive_message, 0)
    said["wind back"] = short(c.rewindQueue, int(first[0].enqueueTime))
    said["again and gone"] = [[a.receive_message(5).msgBody for _ in range(2)], short(a.delete)]


def every(urls, name):
    said = {}
    for part in (queues, messages, polls, signatures, extras):
        part(urls, name, said)
    return said


def topics(urls, name):
    said = {}
    a, b, c = map(account, urls)
    said["queue"] = short(a.get_queue(name).create, meta())
    topic, made = a.get_topic(name), TopicMeta()
    said["create"] = short(topic.create, made)
    said["list"] = short(b.list_topic, name)
    said["get"] = short(c.get_topic(name).get_attributes)
    made.maxMsgSize = 2048
    said["set"] = short(topic.set_attributes, made)
    said["publish to nobody"] = short(topic.publish_message, TopicMessage("x"))
    rule = SubscriptionMeta()
    rule.Endpoint, rule.Protocal, rule.NotifyContentFormat, rule.FilterTag = name, "queue", "SIMPLIFIED", ["a"]
    subscription = b.get_subscription(name, "s")
    said["subscribe"] = short(subscription.create, rule)
    said["list subscriptions"] = short(c.get_topic(name).list_subscription)
    said["get subscription"] = short(c.get_subscription(name, "s").get_attributes)
    said["publish"] = short(topic.publish_message, TopicMessage("to a", ["a"]))
    said["batch publish"] = short(c.get_topic(name).batch_publish_message, [TopicMessage("b")] * 2, ["a"])
    said["arrived"] = [short(b.get_queue(name).receive_message, 5) for _ in range(3)]
    rule.FilterTag = ["b"]
    said["set subscription"] = short(subscription.set_attributes, rule)
    said["clear tags"] = short(subscription.clearFilterTags)
    said["delete too early"] = short(topic.delete)
    said["unsubscribe"] = short(subscription.delete)
    said["delete"] = short(topic.delete)
    return said


def rights(urls, name, *key):
    """What a key may do, through each node."""
    said = []
    for url in urls:
        queue = account(url, key).get_queue(name)
        said.append([short(queue.send_message, Message("x")), short(queue.receive_message, 0), short(queue.delete)])
    return said


def produce(urls, name):
    """Sends numbers through all nodes until the input ends. An error that is not 6000 means: surely not applied."""
    stop, found = threading.Event(), {"sent": [], "refused": [], "unknown": [], "codes": []}

    def send(url, first):
        queue = account(url).get_queue(name)
        number = first
        while not stop.is_set():
            answer = outcome(queue.send_message, Message(str(number)))
            if not isinstance(answer, dict):
                found["sent"].append(number)
            elif "network" in answer or answer["code"] == 6000:
                found["unknown"].append(number)
                time.sleep(0.05)
            else:
                found["refused"].append(number)
                found["codes"].append(answer["code"])
                time.sleep(0.05)
            number += len(urls)

    threads = [threading.Thread(target=send, args=(url, first)) for first, url in enumerate(urls)]
    for thread in threads:
        thread.start()
    sys.stdin.read()
    stop.set()
    for thread in threads:
        thread.join()
    return found


def drain(urls, name):
    """Takes everything out, through one node after the other; what is refused for now is asked again."""
    drained, misses, at = [], 0, 0
    while misses < 6:
        queue = account(urls[at % len(urls)]).get_queue(name)
        at += 1
        answer = outcome(queue.batch_receive_message, 16, 2)
        if isinstance(answer, dict):
            misses += 1
            continue
        misses = 0
        drained += [int(message.msgBody) for message in answer]
        outcome(queue.batch_delete_message, [message.receiptHandle for message in answer])
    return drained


if __name__ == "__main__":
    scenario = {"every": every, "topics": topics, "rights": rights, "produce": produce, "drain": drain}[sys.argv[1]]
    print(json.dumps(scenario(sys.argv[2].split(","), *sys.argv[3:])))
