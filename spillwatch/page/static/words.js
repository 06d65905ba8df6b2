// Every word that people see, in both languages. The choice is kept in a cookie, so that the form speaks it too.

const EN = {
  all_watched: "All {n} wells are watched", none_watched: "No well is watched", some_watched: "{n} of {all} wells are watched",
  waiting: "Connecting …", gone: "No connection to spillwatch", gone_more: "What you see is old. Nothing warns you here. {s} s",
  hangs: "spillwatch hangs", hangs_more: "The watch has stood still for {s} s. No well is watched.",
  login: "Log in again", login_more: "This screen is no longer let in.",
  spills: "{n} spills", first: "first {well}", newest: "newest {well}", first_out: "FIRST", flood: "flood of alarms", ended_too: "{n} more have ended", spills_over: "ended, not acknowledged", test: "TEST",
  blind: "BLIND", unwatched: "{n} wells unwatched",
  active: "Alarms", shelf: "Put aside", recent: "Ended", nothing_active: "No alarm", nothing_shelf: "Nothing is put aside", nothing_recent: "Nothing has ended yet",
  more: "{n} more below", ack: "Acknowledge", ack_all: "Acknowledge all {n}", shelve: "Shelve …", out_of_service: "Out of service …", back: "Back into service", unshelve: "Unshelve",
  reset: "Reset", was_true: "True", was_false: "False …", was_unsaid: "Take back", judged_true: "judged true", judged_false: "judged false",
  acknowledged: "acknowledged", unacknowledged: "not acknowledged", rtn_unacknowledged: "ended, not acknowledged", normal: "ended", shelved: "shelved", by: "by {who}", until: "until {time}", for_good: "until put back", until_normal: "until it ends", kind_shelved: "Shelved", kind_out_of_service: "Out of service",
  silence: "Silence sound", silenced: "Silent {time}", blocked: "Sound is blocked: touch here", 
  well: "Well", camera: "Camera", score: "score", threshold: "threshold", model: "model", delay: "delay", evidence: "Pictures and clip",
  why: "Why?", how_long: "For how long?", note: "Note", do_shelve: "Shelve", do_out: "Take out of service", do_false: "It was false", do_true: "It was true", cancel: "Cancel", close: "Close",
  shelve_title: "Shelve {what}", shelve_more: "It is still watched, but does not call. It comes back by itself.",
  out_title: "Take {what} out of service", out_more: "It is no longer watched until somebody puts it back.",
  false_title: "{what}: what was it really?", true_title: "{what} was true", 
  reasons_shelve: ["Work at the well", "Camera is being cleaned", "Known false alarm"], reasons_out: ["Well is empty", "Well is plugged", "Repair"], reasons_false: ["Steam", "Glove or tool", "Dross", "Light"], reasons_true: ["Metal ran out", "Well ran empty"],
  min: "min", hour: "h", seconds: "s", done: "Done", sent_no: "Not done: {why}", no_answer: "spillwatch does not answer",
  report: "Report", reports: [["8h", "8 h"], ["24h", "24 h"], ["7d", "7 days"]],
  edit: "Wells", help: "Keys", leave: "Log out", other: "Русский", watched_live: "live", fps: "pictures/s", no_picture: "no picture yet", tested: "self-test {time}, {well}", picture_age: "picture {s} s old",
  help_title: "Keys", key_rows: [["↑ ↓", "choose an alarm"], ["A", "acknowledge it"], ["Shift A", "acknowledge all that are shown"], ["S", "shelve it"], ["O", "take its well out of service"], ["T / F / U", "it was true / false / take that back"], ["M", "silence the sound for what sounds now, 5 minutes at most"], ["← →", "alarms, put aside, ended"], ["1 – 9", "camera large, and back"], ["L", "language"], ["W", "wells: move, add, rename"], ["?", "this list"], ["Esc", "close"]],
  help_sound: "A new alarm always sounds again. The sound cannot be switched off for good.",
  legend: [["spill", "spill"], ["obstructed", "obstructed"], ["shelved", "shelved"], ["out_of_service", "out of service"], ["unwatched", "not watched"]],
  wells_title: "Wells of {camera}", save: "Save", undo: "Undo", add: "Add a well", remove: "Delete", rename: "Name", width: "Width", height: "Height", in_service: "in service", to_board: "Back to the alarms", saved: "Saved. The old file is kept as {file}.", unsaved: "{n} changes, not saved", no_change: "no change", choose: "Choose a well: touch it. Drag it, or move it with the arrow keys (Shift: 10 pixels).", same_size: "Size of all", taken: "{id} is taken", bad_name: "1 to 64 letters, digits, . _ -", leave_unsaved: "Changes are not saved. Leave?", no_reference: "There is no picture yet.", selected: "Chosen", wells_count: "{n} wells",
  conditions: { spill: "Spill", obstructed: "Obstructed", camera_lost: "No picture", camera_frozen: "Picture frozen", camera_dark: "Too dark", camera_saturated: "Too bright", camera_shifted: "Camera moved", camera_blurred: "Blurred", camera_late: "Picture late", common_cause: "Common cause", overload: "Too slow", storage: "Cannot store", self_test_failed: "Self-test failed" },
};

const RU = {
  all_watched: "Все лунки под наблюдением: {n}", none_watched: "Ни одна лунка не под наблюдением", some_watched: "Под наблюдением лунок: {n} из {all}",
  waiting: "Соединение …", gone: "Нет связи со spillwatch", gone_more: "То, что на экране, устарело. Здесь ничто не предупредит. {s} с",
  hangs: "spillwatch завис", hangs_more: "Наблюдение стоит уже {s} с. Ни одна лунка не под наблюдением.",
  login: "Войдите снова", login_more: "Этому экрану больше не разрешён вход.",
  spills: "Проливы: {n}", first: "первый {well}", newest: "последний {well}", first_out: "ПЕРВЫЙ", flood: "лавина тревог", ended_too: "прошло ещё {n}", spills_over: "прошёл, не принят", test: "ПРОВЕРКА",
  blind: "НЕ ВИДИТ", unwatched: "лунок без наблюдения: {n}",
  active: "Тревоги", shelf: "Отложено", recent: "Прошло", nothing_active: "Тревог нет", nothing_shelf: "Ничего не отложено", nothing_recent: "Пока ничего не прошло",
  more: "ниже ещё {n}", ack: "Принять", ack_all: "Принять все: {n}", shelve: "Отложить …", out_of_service: "Вывести …", back: "Вернуть в работу", unshelve: "Вернуть",
  reset: "Сбросить", was_true: "Верно", was_false: "Ложно …", was_unsaid: "Снять оценку", judged_true: "признана верной", judged_false: "признана ложной",
  acknowledged: "принята", unacknowledged: "не принята", rtn_unacknowledged: "прошла, не принята", normal: "прошла", shelved: "отложена", by: "{who}", until: "до {time}", for_good: "пока не вернут", until_normal: "пока не пройдёт", kind_shelved: "Отложена", kind_out_of_service: "Выведена",
  silence: "Заглушить звук", silenced: "Без звука {time}", blocked: "Звук заблокирован: коснитесь",
  well: "Лунка", camera: "Камера", score: "оценка", threshold: "порог", model: "модель", delay: "задержка", evidence: "Снимки и запись",
  why: "Почему?", how_long: "На сколько?", note: "Примечание", do_shelve: "Отложить", do_out: "Вывести из работы", do_false: "Тревога ложная", do_true: "Тревога верная", cancel: "Отмена", close: "Закрыть",
  shelve_title: "Отложить {what}", shelve_more: "Наблюдение идёт, но тревога не зовёт. Она вернётся сама.",
  out_title: "Вывести из работы {what}", out_more: "Наблюдения не будет, пока кто-нибудь не вернёт.",
  false_title: "{what}: что это было?", true_title: "{what}: тревога верная",
  reasons_shelve: ["Работы у лунки", "Чистят камеру", "Известная ложная тревога"], reasons_out: ["Лунка пустая", "Лунка заглушена", "Ремонт"], reasons_false: ["Пар", "Рукавица или инструмент", "Шлак", "Свет"], reasons_true: ["Металл вылился", "Лунка опустела"],
  min: "мин", hour: "ч", seconds: "с", done: "Сделано", sent_no: "Не сделано: {why}", no_answer: "spillwatch не отвечает",
  report: "Отчёт", reports: [["8h", "8 ч"], ["24h", "24 ч"], ["7d", "7 дней"]],
  edit: "Лунки", help: "Клавиши", leave: "Выйти", other: "English", watched_live: "на связи", fps: "кадров/с", no_picture: "кадров ещё нет", tested: "самопроверка {time}, {well}", picture_age: "кадру {s} с",
  help_title: "Клавиши", key_rows: [["↑ ↓", "выбрать тревогу"], ["A", "принять её"], ["Shift A", "принять все показанные"], ["S", "отложить её"], ["O", "вывести лунку из работы"], ["T / F / U", "тревога верная / ложная / снять оценку"], ["M", "заглушить то, что звучит сейчас, не более чем на 5 минут"], ["← →", "тревоги, отложено, прошло"], ["1 – 9", "камера крупно и обратно"], ["L", "язык"], ["W", "лунки: сдвинуть, добавить, назвать"], ["?", "этот список"], ["Esc", "закрыть"]],
  help_sound: "Новая тревога всегда звучит снова. Выключить звук насовсем нельзя. Клавиши — по латинским буквам, в любой раскладке.",
  legend: [["spill", "пролив"], ["obstructed", "заслонена"], ["shelved", "отложена"], ["out_of_service", "выведена"], ["unwatched", "без наблюдения"]],
  wells_title: "Лунки камеры {camera}", save: "Сохранить", undo: "Отменить", add: "Добавить лунку", remove: "Удалить", rename: "Имя", width: "Ширина", height: "Высота", in_service: "в работе", to_board: "К тревогам", saved: "Сохранено. Старый файл: {file}.", unsaved: "изменений: {n}, не сохранено", no_change: "без изменений", choose: "Выберите лунку касанием. Тяните её или двигайте стрелками (Shift: 10 пикселей).", same_size: "Размер всех", taken: "имя {id} занято", bad_name: "от 1 до 64 латинских букв, цифр, . _ -", leave_unsaved: "Изменения не сохранены. Уйти?", no_reference: "Кадра ещё нет.", selected: "Выбрана", wells_count: "лунок: {n}",
  conditions: { spill: "Пролив", obstructed: "Заслонена", camera_lost: "Нет кадров", camera_frozen: "Кадр замер", camera_dark: "Темно", camera_saturated: "Засветка", camera_shifted: "Камера сдвинута", camera_blurred: "Нет резкости", camera_late: "Кадры опаздывают", common_cause: "Общая причина", overload: "Не успевает", storage: "Нет записи", self_test_failed: "Самопроверка не прошла" },
};

const kept = document.cookie.match(/(?:^|; )lang=(en|ru)/)?.[1];
export let language = kept ?? (navigator.language.startsWith("ru") ? "ru" : "en");
document.documentElement.lang = language;

/** The words under a key; {name} in them is replaced. */
export function t(key, values = {}) {
  const words = (language === "ru" ? RU : EN)[key];
  return typeof words === "string" ? words.replace(/\{(\w+)\}/g, (_, name) => values[name]) : words;
}

export const condition = (name) => t("conditions")[name] ?? name;

export function switchLanguage() {
  language = language === "ru" ? "en" : "ru";
  document.documentElement.lang = language;
  document.cookie = `lang=${language}; max-age=31536000; samesite=strict; path=${location.pathname.replace(/[^/]*$/, "")}`;
}

/** 75 → 1:15; 4000 → 1:06:40 */
export function lasting(seconds) {
  const s = Math.max(0, Math.floor(seconds)), two = (n) => String(n).padStart(2, "0");
  return s < 3600 ? `${Math.floor(s / 60)}:${two(s % 60)}` : `${Math.floor(s / 3600)}:${two(Math.floor(s / 60) % 60)}:${two(s % 60)}`;
}

export const timeOfDay = (at) => new Date(at).toLocaleTimeString(language === "ru" ? "ru-RU" : "en-GB");
