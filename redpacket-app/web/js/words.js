/**
 * Words: everything the page says, in Chinese and English, and what refusals mean to who uses it.
 *
 * Must never: show a number or a technical word where a sentence can stand.
 */

const WORDS = {
  zh: {
    app: "红包", chats: "聊天", contacts: "通讯录", records: "红包记录", wallet: "我的钱包", back: "返回", close: "关闭",
    older: "加载更多", other_language: "English", switch_language: "切换到英文", save: "完成", tabs: "主导航",
    welcome: "你好，新年快乐", welcome_text: "取个名字，开通你的零钱包。", your_name: "昵称", enter: "进入",
    offline: "网络不稳，正在重新连接…", connected: "已重新连接",
    new_chat: "发起群聊", chat_name: "群聊名称", create: "创建", join_chat: "加入群聊", chat_code: "群聊口令", join: "加入",
    no_chats: "还没有群聊。发起一个，或用口令加入。", members: (n) => `${n} 人`, invite: "群聊口令", copy: "复制口令", copied: "口令已复制",
    to_me: "发给我的红包", no_packets: "还没有红包，来发第一个吧。", no_people: "加入群聊后，这里会出现群里的人。", packets_of: (name) => `${name}的红包`,
    red_packet: "红包", send: "发红包", send_to: (name) => `给${name}发红包`, greeting_default: "恭喜发财，大吉大利",
    kind: "红包类型", lucky: "拼手气红包", equal: "普通红包", exclusive: "专属红包", direct: "给一个人",
    shares: "红包个数", shares_unit: "个", total: "总金额", each: "单个金额", yuan_unit: "元", greeting: "祝福语", cover: "红包封面",
    cover_red: "喜庆红", cover_gold: "流金", cover_night: "烟花夜", cover_spring: "迎春", password: "口令", password_optional: "口令",
    password_hint: "可不填", for_whom: "谁可以领", choose: "请选择领取的人", put_money: "塞钱进红包", sending: "正在支付…", sent: "红包已发出", paid: "已支付，红包马上就到",
    pay_unknown: "支付还没有结果，会继续确认，不会重复扣款。", bad_amount: "请输入正确的金额", share_small: "单个红包不能低于 0.01 元",
    share_large: "单个红包不能超过 200 元", bad_shares: "红包个数应为 1 至 100", expires: "24 小时内未领取的金额将退回零钱",
    from: (name) => `${name}的红包`, open: "開", open_label: "拆开红包", opening: "正在拆红包…", see_others: "看看大家的手气",
    need_password: "请输入口令", sold_out_long: "手慢了，红包派完了", expired_long: "红包已超过 24 小时，已失效", not_yours_long: "这个红包是发给别人的",
    take: "领取红包", live: "等待领取", mine: "已领取", "sold-out": "已被领完", expired: "已过期", refunded: "已过期，余额已退回",
    arrived: "已存入零钱，可直接使用", waiting: "等待到账：钱是安全的，正在路上", unknown: "正在确认到账情况…", you_got: "你领到", yuan_word: "元",
    taken_of: (taken, shares) => `已领取 ${taken}/${shares} 个`, in_all: (got, total) => `，共 ${got}/${total} 元`, luckiest: "手气最佳", all_gone: "已被领完",
    received: "收到的红包", sent_list: "发出的红包", year: "年份", year_of: (y) => `${y} 年`, received_total: "共收到", sent_total: "共发出",
    count_packets: (n) => `${n} 个红包`, count_luckiest: (n) => `手气最佳 ${n} 次`, no_received: "还没有收到红包", no_sent: "还没有发出红包", credit_waiting: "等待到账",
    balance: "零钱", on_its_way: (yuan, n) => `还有 ${yuan} 正在到账（${n} 笔）`, bill: "账单", no_bill: "还没有账单", sign_out: "退出登录", signed_out: "已退出",
    funded: "充值", withdrawn: "提现", packet_sent: "发出红包", share_received: "领取红包", packet_refunded: "红包退回", transfer: "转账", unspecified: "其他",
    pay: "付款", pay_now: (yuan) => `支付 ${yuan}`, pay_done: "支付成功", pay_under_way: "已付款，正在通知商家；若订单已失效，钱会自动退回", order_number: (n) => `订单号 ${n}`,
    order_closed: "订单已关闭", order_paid_mine: "这笔订单你已付款", order_paid_other: "这笔订单已被支付", order_went_back: (yuan) => `已退回 ${yuan}`,
    pay_password: "支付密码", pay_password_new: "设置支付密码", pay_password_again: "再输入一次", pay_password_set: "支付密码已设置", pay_password_why: "付款和提现时需要输入这 6 位数字。",
    six_digits: "支付密码是 6 位数字", not_the_same: "两次输入的不一样", amount: "金额", top_up: "充值", take_out: "提现", top_up_done: (yuan) => `已充值 ${yuan}`, take_out_done: (yuan) => `已提现 ${yuan}`,
    order_paid: "付款", order_refunded: "商家退款",
    secret_title: "请输入支付密码", secret_for: (yuan) => `塞进红包 ${yuan}`, confirm: "确认", cancel: "取消",
    balance_then: (yuan) => `余额 ${yuan}`, arrived_note: (yuan) => `${yuan} 已到账`, refused: "这次没有成功", busy: "现在人太多了，请稍后再试", lost: "没有得到回答，请再试一次",
    refusals: {
      1: "红包不存在", 4: "名字不能为空，也不能太长", 5: "祝福语太长了", 7: "红包个数不对", 8: "最多 100 个红包", 9: "单个红包不能低于 0.01 元",
      10: "单个红包不能超过 200 元", 11: "金额不能平分成这么多份", 13: "不能发给自己", 14: "没有这个人", 15: "没有这个群聊，请检查口令", 16: "你不在这个群聊里",
      17: "群聊已满", 18: "这个红包是发给别人的", 19: "口令不对，再想想", 20: "手慢了，红包派完了", 21: "红包已过期", 20001: "口令格式不对",
      20002: "有内容没有填对", 20003: "红包类型不对", 20004: "登录已失效，请重新进入", 20005: "这里不能充值", 20006: "金额太大了", 20023: "输错太多次了，请过一会儿再试", 20029: "没有输入支付密码，红包没有发出",
      20024: "请先设置支付密码", 20025: "支付密码不对", 20026: "支付密码是 6 位数字", 20027: "这笔付款有风险，已被拦下", 21041: "超过单笔限额了", 21042: "超过今天的限额了",
      21044: "没有这个订单", 21047: "订单已支付", 21048: "订单已关闭",  21034: "零钱不够了", 21023: "账户已注销", 21024: "账户已注销", 21025: "收款账户已注销", 21035: "商家暂时收不了款，钱已退回，请稍后再付", 21026: "账户已被冻结",
    },
  },
  en: {
    app: "Red packets", chats: "Chats", contacts: "Contacts", records: "Packets", wallet: "Wallet", back: "Back", close: "Close",
    older: "Load more", other_language: "中文", switch_language: "Switch to Chinese", save: "Done", tabs: "Main",
    welcome: "Happy New Year", welcome_text: "Choose a name, and your wallet is opened.", your_name: "Your name", enter: "Enter",
    offline: "The line is down. Reconnecting…", connected: "Connected again",
    new_chat: "New chat", chat_name: "Name of the chat", create: "Create", join_chat: "Join a chat", chat_code: "Code of the chat", join: "Join",
    no_chats: "No chats yet. Make one, or join by its code.", members: (n) => `${n} ${n === 1 ? "member" : "members"}`, invite: "Code of this chat", copy: "Copy the code", copied: "Code copied",
    to_me: "Packets for me", no_packets: "No packets yet. Send the first one.", no_people: "People of your chats will appear here.", packets_of: (name) => `Packets of ${name}`,
    red_packet: "Red packet", send: "Send a red packet", send_to: (name) => `A red packet for ${name}`, greeting_default: "Best wishes",
    kind: "Kind of packet", lucky: "Lucky shares", equal: "Equal", exclusive: "Chosen people", direct: "To one person",
    shares: "Shares", shares_unit: "", total: "Total", each: "Each share", yuan_unit: "yuan", greeting: "Greeting", cover: "Cover",
    cover_red: "Red", cover_gold: "Gold", cover_night: "Fireworks", cover_spring: "Spring", password: "Password", password_optional: "Password",
    password_hint: "Optional", for_whom: "Who may open it", choose: "Choose who may open it", put_money: "Put the money in", sending: "Paying…", sent: "Packet sent", paid: "Paid. It will appear in a moment",
    pay_unknown: "The payment has no answer yet. It is asked again, and never paid twice.", bad_amount: "Enter an amount in yuan", share_small: "A share is at least ¥0.01",
    share_large: "A share is at most ¥200", bad_shares: "A packet has 1 to 100 shares", expires: "What nobody takes within 24 hours comes back to you",
    from: (name) => `Red packet from ${name}`, open: "Open", open_label: "Open the red packet", opening: "Opening…", see_others: "See who got what",
    need_password: "Enter the password", sold_out_long: "Too late: all shares are taken", expired_long: "This packet is older than 24 hours and has expired", not_yours_long: "This packet is for somebody else",
    take: "Open it", live: "To be opened", mine: "Opened", "sold-out": "All taken", expired: "Expired", refunded: "Expired, the rest came back",
    arrived: "It is in your wallet", waiting: "Waiting: it is safe, and on its way", unknown: "Being confirmed…", you_got: "You got", yuan_word: "yuan",
    taken_of: (taken, shares) => `${taken} of ${shares} taken`, in_all: (got, total) => `, ¥${got} of ¥${total}`, luckiest: "Luckiest", all_gone: "All taken",
    received: "Received", sent_list: "Sent", year: "Year", year_of: (y) => String(y), received_total: "Received in all", sent_total: "Sent in all",
    count_packets: (n) => `${n} ${n === 1 ? "packet" : "packets"}`, count_luckiest: (n) => `luckiest ${n}×`, no_received: "No packets received yet", no_sent: "No packets sent yet", credit_waiting: "waiting",
    secret_title: "Enter your payment password", secret_for: (yuan) => `${yuan} go into a red packet`, confirm: "Confirm", cancel: "Cancel",
    balance: "Balance", on_its_way: (yuan, n) => `${yuan} on the way (${n})`, bill: "Bill", no_bill: "Nothing booked yet", sign_out: "Sign out", signed_out: "Signed out",
    funded: "Top-up", withdrawn: "Withdrawal", packet_sent: "Red packet sent", share_received: "Red packet received", packet_refunded: "Red packet came back", transfer: "Transfer", unspecified: "Other",
    pay: "Pay", pay_now: (yuan) => `Pay ${yuan}`, pay_done: "Paid", pay_under_way: "Paid, and on its way. It comes back by itself if the order is closed", order_number: (n) => `Order ${n}`,
    order_closed: "This order is closed", order_paid_mine: "You have paid this order", order_paid_other: "This order is paid", order_went_back: (yuan) => `${yuan} came back`,
    pay_password: "Payment password", pay_password_new: "Choose a payment password", pay_password_again: "Once more", pay_password_set: "Payment password set", pay_password_why: "You will type these six digits to pay and to take money out.",
    six_digits: "A payment password has six digits", not_the_same: "The two are not the same", amount: "Amount", top_up: "Top up", take_out: "Withdraw", top_up_done: (yuan) => `${yuan} is in your wallet`, take_out_done: (yuan) => `${yuan} was paid out`,
    order_paid: "Payment", order_refunded: "Refund",
    balance_then: (yuan) => `balance ${yuan}`, arrived_note: (yuan) => `${yuan} has arrived`, refused: "That did not work", busy: "Too many people at once. Please try again in a moment", lost: "No answer. Please try again",
    refusals: {
      1: "There is no such packet", 4: "A name is neither empty nor very long", 5: "The greeting is too long", 7: "The number of shares does not fit", 8: "A packet has at most 100 shares", 9: "A share is at least ¥0.01",
      10: "A share is at most ¥200", 11: "The amount does not divide into equal shares", 13: "You cannot send one to yourself", 14: "There is no such person", 15: "There is no such chat. Check the code", 16: "You are not in this chat",
      17: "The chat is full", 18: "This packet is for somebody else", 19: "The password is wrong", 20: "Too late: all shares are taken", 21: "The packet has expired", 20001: "The code is not complete",
      20002: "Something is not filled in right", 20003: "The kind of packet does not fit", 20004: "Your session has ended. Please enter again", 20005: "Wallets cannot be topped up here", 20006: "The amount is too large", 20023: "Too many wrong passwords. Wait a while", 20029: "No payment password was given, and nothing was paid",
      20024: "Choose a payment password first", 20025: "The payment password is wrong", 20026: "A payment password has six digits", 20027: "This payment was stopped for its risk", 21041: "That is more than you may pay at once", 21042: "That is more than you may pay in a day",
      21044: "There is no such order", 21047: "The order is paid", 21048: "The order is closed",  21034: "Your balance is too low", 21023: "The account is closed", 21024: "The account is closed", 21025: "The account to be paid is closed", 21035: "The merchant cannot take it now. It came back; try again later", 21026: "The account is frozen",
    },
  },
};

let chosen = localStorage.getItem("language") ?? (navigator.language.toLowerCase().startsWith("zh") ? "zh" : "en");

/** The language as browsers name it. */
export const language = () => (chosen === "zh" ? "zh-CN" : "en");

/** Chooses the other language. */
export function switchLanguage() {
  chosen = chosen === "zh" ? "en" : "zh";
  localStorage.setItem("language", chosen);
}

/**
 * The words under a key, with what they are about.
 * @param {string} key
 * @param {...*} facts
 * @returns {string}
 */
export function t(key, ...facts) {
  const words = WORDS[chosen][key] ?? key;
  return typeof words === "function" ? words(...facts) : words;
}

/**
 * What went wrong, in words.
 * @param {{outcome?: string, refusal?: ?number, afterMs?: ?number}} failed
 */
export function reason(failed) {
  if (failed.outcome === "refused") return WORDS[chosen].refusals[failed.refusal] ?? t("refused");
  return failed.afterMs ? t("busy") : t("lost");
}
