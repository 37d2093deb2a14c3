package reply

import (
	"slices"
	"strings"
	"sync"
	"unicode"
)

// dictionary says which words of other languages stand for an English one, so that the rules, and above all what speaks against them,
// hold in every language. A line is the English, a colon, and the words: _ is a space, * at the end any ending. Accents are as in the
// language; a reply may leave them out, or write ae, oe and ue.
// No word may stand here that is also English and means something else there.
const dictionary = `
user: Benutzer* Nutzer* Teilnehmer* utilisateur* usuari* utente utenti użytkownik* gebruiker* användare* bruker* bruger* uživatel* používateľ* felhasználó* kullanıcı* käyttäjä* utilizator* пользовател* користувач* 用户 用戶 使用者 ユーザー ユーザ 利用者 사용자
recipient: Empfänger* Adressat* destinataire* destinatari* odbiorc* adresat* příjemc* ontvanger* geadresseerde* mottagar* mottaker* modtager* címzett* alıcı alıcının vastaanottaja* получател* адресат* отримувач* 收件人 收信人 收件者 宛先 受信者 수신자 수신인
mailbox: Postfach* boîte boîte_aux_lettres casella casilla buzón* caixa caixa_postal caixa_de_correio skrzynk* postvak* brevlåd* postkass* schránk* postafiók* posta_kutusu postilaatik* ящик* почтовый_ящик* скриньк* скриньц* 邮箱 郵箱 信箱 メールボックス 受信箱 메일함 편지함 사서함
address: Adresse Adressen Mailadresse* Empfängeradresse* adres adresu adresem adresa adresy indirizz* dirección* endereço* адрес* 地址 メールアドレス アドレス 주소
sender address: Absenderadresse* 发件人地址 差出人アドレス
account: Konto Kontos Konten konta kontem koncie compte comptes cuenta* conta contas účet účtu účtem fiók* hesap hesabı hesabınız учетная_запис* учетной_запис* учетную_запис* аккаунт* обліковий_запис* 账号 账户 帐号 帐户 帳號 帳戶 アカウント 계정
domain: Domäne* domaine domaines domínio* domena domeny domenę домен* 域名 網域 ドメイン 도메인
sender: Absender* expéditeur* émetteur* remitente* mittente* remetente* nadawc* odesílatel* afzender* avsändar* avsender* afsender* feladó* gönderen gönderici* lähettäjä* отправител* відправник* 发件人 寄件人 发信人 發件人 寄件者 送信者 送信元 差出人 발신자 발신인
server: serveur* servidor* сервер* 服务器 伺服器 サーバー サーバ 서버
messages: Nachricht* mensaje* messaggi* messaggio mensagem mensagens wiadomoś* zpráv* berichten meddeland* üzenet* mesaj* viesti* сообщени* письм* писем повідомлен* メッセージ 메시지
mail: courriel* correo* poczt* почт* пошт* 邮件 郵件 信件 メール 메일
storage: Speicherplatz* Speichervolumen Speicher espace espaço espacio spazio miejsc* opslagruimte utrymme lagringsplads úložišt* tárhely* места 空间 空間 ストレージ
no storage: kein_Platz keinen_Platz kein_Speicherplatz* plus_de_place plus_d_espace sin_espacio senza_spazio sem_espaço brak_miejsca geen_ruimte нет_места недостаточно_места 空间不足 容量不足 空間不足
quota: Kontingent* cuota cuotas cota cotas kvót* kota kotası квот* 配额 配額 容量 クォータ 할당량
size: Größe taille tamaño tamanho dimensione dimensioni rozmiar* velikost* grootte storlek* boyut* размер* розмір* 大小 サイズ 크기
limit: Grenze Grenzwert Sendelimit limite limites limiet* limitu limitem limita лимит* ліміт* ограничени* обмежен* 限制 上限 限额 限度 制限 제한 한도
connections: Verbindungen Verbindung connexion connexions conexión conexiones connessione connessioni conexão conexões połącze* verbindingen anslutningar forbindelser spojení připojení kapcsolat* bağlantı* соединени* подключени* підключен* 连接 連線 連接 接続 연결
access: Zugriff* Zugang accès acceso accesso acesso dostęp toegang åtkomst přístup* hozzáférés* erişim* доступ 访问 存取 アクセス 접근
password: Passwort* Kennwort* mot_de_passe contraseña* senha hasło hasła hasłem wachtwoord* lösenord* heslo* jelszó* şifre* парол* 密码 密碼 パスワード 비밀번호
authentication: Authentifizierung* authentification autenticación autenticazione autenticação uwierzytelni* autoryzacj* authenticatie autentisering* autentizac* ověření* hitelesítés* аутентификаци* авторизаци* автентифікац* 认证 認證 验证 驗證 認証 인증
log in: Anmeldung Anmeldedaten Einloggen ログイン 登录 登入 로그인
policy: Richtlinie* politique politiques política* polityk* beleid zásad* политик* 策略 政策 ポリシー 정책
outgoing: ausgehend* sortant* salient* in_uscita wychodząc* uitgaand* utgående odchozí* kimenő* исходящ* вихідн* 外发
sending: Versand* Senden envoi envois envoyer envío envíos enviar invio inviare wysyłk* wysyłani* wysyłać verzenden odesílání* küldés* gönderim* gönderme* отправк* отправля* отправит* рассылк* відправк* 发送 发信 發送 寄送 送信 발송 전송
from sending: для_отправки от_отправки
spam: спам* антиспам* antyspam* 垃圾邮件 垃圾郵件 反垃圾 スパム 迷惑メール 스팸
unsolicited: unerwünscht* non_sollicité* indésirable* pourriel* no_desead* indesiderat* indesejad* niechcian* ongewenst* нежелательн*
blacklist: liste_noire lista_negra lista_nera czarnej_liś* czarna_lista zwarte_lijst черный_спис* черном_спис* чорному_спис* 黑名单 黑名單 ブラックリスト 블랙리스트
virus: вирус* вірус* 病毒 ウイルス
unknown: unbekannt* inconnu* desconocid* desconhecid* sconosciut* nieznan* onbekend* okänd* okänt ukjent* ukendt* neznám* ismeretlen* bilinmeyen* tuntematon necunoscut* неизвест* невідом* 未知 不明
known: bekannt bekend
valid: gültig* valide valido valida
invalid: ungültig* invalide invalides inválid* invalidi non_valid* no_válido no_válida pas_valide* nicht_gültig* nieprawidłow* niepoprawn* ongeldig* ogiltig* ugyldig* neplatn* érvénytelen* geçersiz* virheellinen неверн* недействительн* некорректн* недійсн* невірн* 无效 無効 不合法 잘못된 유효하지_않은
wrong: errato errata errati erroné* falsch* błędn* verkeerd* chybn* ошибочн* 错误 錯誤
not exist: existiert_nicht existieren_nicht existiert_hier_nicht existe_pas existe_plus existent_pas no_existe no_existen não_existe* non_esist* nie_istnieje nie_istnieją bestaat_niet finns_inte existerar_inte finnes_ikke eksisterer_ikke findes_ikke neexistuj* nem_létez* mevcut_değil не_существует не_существуют не_существова* не_існу* 不存在 存在しません 存在しない 존재하지
non existent: nicht_vorhanden inexistant* inexistent* inesistent* nieistniejąc* neexistujíc* несуществующ* неіснуюч*
not found: nicht_gefunden nicht_finden introuvable* pas_trouvé* pas_été_trouvé* no_encontrad* no_se_encontró no_se_encuentra não_encontrad* não_foi_encontrad* não_localizad* non_trovat* non_è_presente non_presente nie_znalezion* nie_odnaleziono niet_gevonden hittades_inte ikke_funnet ikke_fundet nenalezen* nem_található bulunamadı bulunamıyor не_найден* не_обнаружен* не_знайден* 找不到 未找到 没有找到 見つかりません 見つからない 찾을_수_없
not registered: nicht_registriert no_registrad* não_registrad* non_registrat* не_зарегистрирован* не_зареєстрован* 未注册 登録されていません
no such: kein keine keinen kein_solch* keine_solch* aucun aucune nessun nessuna nessuno ningún ninguna no_hay_ningún nenhum nenhuma nie_ma nie_ma_takiego nie_ma_takiej brak geen geen_dergelijke ingen finns_ingen žádn* takový_neexistuje nincs nincs_ilyen нет нет_такого нет_такой немає немає_такого 没有此 没有这个 查无此
not: nicht pas não niet inte ikke nem не değil
no longer: nicht_mehr n_est_plus ya_no non_è_più não_é_mais już_nie niet_meer inte_längre ikke_længere больше_не більше_не
insufficient: nicht_genügend nicht_genug insuffisant* insuficiente* insufficiente niewystarczając* onvoldoende otillräcklig* недостаточно недостатньо 不足 不够
disabled: deaktiviert* abgeschaltet* désactiv* desactivad* desativad* disattivat* disabilitat* deshabilitad* inhabilitad* dezaktywowan* wyłączon* gedeactiveerd* uitgeschakeld* avaktiverad* inaktiverad* deaktivere* deaktivován* letiltv* devre_dışı отключен* деактивирован* вимкнен* деактивован* 禁用 停用 비활성
inactive: inactif inactifs inactivo inactiva inativ* inattiv* nieaktywn* inactief inaktiv* neaktivn* неактивн* 未激活
inactivity: Inaktivität falta_de_uso inactividad inutilizzo inattività inatividade inactivité nieaktywności
expired: abgelaufen* expirad* scadut* caducad* wygas* verlopen истек* 过期 期限切れ
closed: geschlossen* gekündigt* fermé clôturé* résilié* cerrad* chius* encerrad* cancelad* zamknięt* gesloten zrušen* megszűnt* kapatıl* закрыт* закрит* 关闭
deleted: gelöscht* entfernt supprimé* eliminad* borrad* cancellato cancellata rimoss* excluíd* removid* usunięt* verwijderd* raderad* borttag* slettet* smazán* törölt* silinmiş silindi удален* видален* 删除 注销 註銷 削除 삭제
blocked: gesperrt* blockiert* bloqué* bloquead* bloccat* zablokowan* geblokkeerd* blockerad* blokeret* blokován* engellen* заблокирован* заблокован* 封禁 冻结 封锁 屏蔽 ブロック 차단
suspended: suspendu* suspendid* sospes* zawieszon* opgeschort приостановлен* призупинен* 暂停
full: voll überfüllt* übervoll plein pleine pleins lleno llena pieno piena cheio cheia lotad* pełna pełny pełne przepełni* vol fuld fuldt plná plný plné přeplněn* megtelt dolu täynnä переполнен* переповнен* заполнен* 已满 已滿 满了 いっぱい 満杯 가득
exhausted: erschöpft* aufgebraucht* épuisé* agotad* esaurit* esgotad* wyczerpan* uitgeput vyčerpán* исчерпан* вичерпан* 用尽 已用完
exceeded: überschritten* überschreitet dépass* superad* superat* excedid* rebasad* ultrapassad* przekrocz* overschreden överskrid* överskred* překročen* túllépte aşıldı превышен* превышает превысил* перевищен* 超过 超過 超出 超限 超えて 超えました 초과
too many: zu_viele zuviele zu_viel trop_de demasiad* tropp* muitos muitas zbyt_wiele zbyt_dużo za_dużo te_veel för_många for_mange příliš_mnoho túl_sok çok_fazla слишком_много забагато 过多 太多 過多 多すぎ 너무_많
too large: zu_groß trop_volumineux trop_gros trop_grand trop_lourd demasiado_grande troppo_grande muito_grande zbyt_duż* za_duż* te_groot för_stor* příliš_velk* túl_nagy çok_büyük слишком_больш* слишком_велик* завелик* 过大 太大 過大 大きすぎ
daily: täglich* Tageslimit pro_Tag am_Tag journali* quotidien* par_jour diario diaria por_dia giornalier* al_giorno dzienn* na_dzień na_dobę denní* per_dag суточн* дневн* ежедневн* в_сутки за_сутки в_день за_день добов* на_добу 每日 每天 当日 当天
per hour: pro_Stunde stündlich* par_heure por_hora all_ora per_ora na_godzinę godzinow* per_uur за_час в_час часово* на_годину 每小时 每小時
per minute: pro_Minute par_minute por_minuto al_minuto na_minutę в_минуту за_минуту 每分钟
too often: zu_häufig zu_oft trop_souvent troppo_spesso слишком_часто 过于频繁
rate: 频率 頻率 頻度
later: später plus_tard más_tarde più_tardi mais_tarde później senare senere později később daha_sonra позже позднее пізніше 稍后 稍後 後で 나중에
again: erneut nochmals à_nouveau de_nuevo novamente di_nuovo ponownie opnieuw igen znovu снова ещё_раз
try: essayer réessay* inténtelo intente reintent* riprov* tente spróbuj* probeer försök prøv zkuste próbálja deneyin попробуйте повторите спробуйте повторіть 重试 再试 重試 再試行
temporarily: vorübergehend* temporär* temporaire* temporairement temporalmente temporane* temporariamente temporári* tymczasow* chwilow* tijdelijk* tillfällig* midlertidig* dočasn* ideiglenes* átmeneti* geçici* временн* тимчасов* 暂时 暫時 临时 一時的 일시적
unavailable: indisponible* indisponív* niedostępn* otillgänglig* nedostupn* недоступ* 不可用 無法使用 利用できません
available: verfügbar* disponible* disponibile disponibili disponív* dostępn* beschikbaar доступен доступна доступно
rejected: abgelehnt* abgewiesen* zurückgewiesen* verweigert* rejeté* rechazad* rifiutat* respint* rejeitad* recusad* odrzucon* geweigerd* avvisad* avvist* afvist* odmítnut* elutasít* reddedil* отклонен* отвергнут* відхилен* 拒绝 拒絕 拒收 被拒 拒否 거부 거절
prohibited: verboten untersagt interdit* prohibid* proibid* proibit* vietat* zabronion* förbjud* zakázán* tilos yasak запрещен* заборонен* 禁止 금지
allowed: erlaubt zugelassen berechtigt autorisé* permitid* autorizad* autorizzat* consentit* dozwolon* uprawnion* toegestaan tillåt* tillatt povolen* разрешен* дозволен* 允许 允許 許可
failed: fehlgeschlagen échoué* échec fallid* fallit* falhou nieudan* mislukt misslyckad* selhal* sikertelen* başarısız* неудачн* 失败 失敗
required: erforderlich* benötigt* requis requise requerid* necessário necessária wymagan* vereist krävs vyžadován* szükséges* gerekli* требуется необходим* 必须 必需
`

// A glossary is the dictionary, for looking up.
type glossary struct {
	words   map[string]string // a word, or some with a space between each
	stems   map[string]string // how they begin
	leads   map[string]bool   // words after which some that are looked up together may follow
	phrases *strings.Replacer // for languages that leave no space between words
}

// inEnglish returns the glossary, which is made when the first reply is read.
var inEnglish = sync.OnceValue(func() *glossary {
	g := &glossary{words: map[string]string{}, stems: map[string]string{}, leads: map[string]bool{}}
	var phrases [][2]string
	for line := range strings.Lines(dictionary) {
		english, foreign, _ := strings.Cut(line, ":")
		for _, word := range strings.Fields(foreign) {
			word = strings.ReplaceAll(word, "_", " ")
			if unspaced(word) {
				phrases = append(phrases, [2]string{unaccent(word), " " + english + " "})
				continue
			}
			g.add(unaccent(word), english)
			g.add(unaccent(umlauts.Replace(strings.ToLower(word))), english)
		}
	}
	slices.SortStableFunc(phrases, func(a, b [2]string) int { return len(b[0]) - len(a[0]) }) // the longest that fits
	var pairs []string
	for _, p := range phrases {
		pairs = append(pairs, p[0], p[1])
	}
	g.phrases = strings.NewReplacer(pairs...)
	return g
})

// umlauts are written with an e where there are no such letters.
var umlauts = strings.NewReplacer("ä", "ae", "ö", "oe", "ü", "ue")

func (g *glossary) add(word, english string) {
	for i := range len(word) {
		if word[i] == ' ' {
			g.leads[word[strings.LastIndexByte(word[:i], ' ')+1:i]] = true
		}
	}
	if stem, ok := strings.CutSuffix(word, "*"); ok {
		g.stems[stem] = english
		return
	}
	g.words[word] = english
}

// shortestStem is how many octets of the last word a stem has at least.
const shortestStem = 4

// find returns the English for a word, or for some, of which the last starts at octet last.
func (g *glossary) find(words string, last int) (string, bool) {
	if english, ok := g.words[words]; ok {
		return english, true
	}
	for n := len(words); n >= last+shortestStem; n-- {
		if english, ok := g.stems[words[:n]]; ok {
			return english, true
		}
	}
	return "", false
}

// unspaced reports whether a text has letters of a language that leaves no space between words, or glues endings to them.
func unspaced(text string) bool {
	return strings.ContainsFunc(text, func(r rune) bool {
		return r >= 0x1100 && unicode.In(r, unicode.Han, unicode.Hiragana, unicode.Katakana, unicode.Hangul)
	})
}
